/// A directory of its own in which a block of the guide runs; it is removed at the end.
pub struct Scratch(std::path::PathBuf);

pub fn scratch() -> std::io::Result<Scratch> {
    let name = format!("cim-es-guide-{}", cim_es::prelude::Uuid::now_v7());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path)?;
    std::env::set_current_dir(&path)?;
    Ok(Scratch(path))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left lies among the temporary files.
        let _ = std::env::set_current_dir(std::env::temp_dir());
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
