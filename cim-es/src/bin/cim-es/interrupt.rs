//! Ctrl-C.

use tokio::sync::watch;

use crate::failure::{Failure, Kind};

/// Whether somebody has interrupted the program. What is asked once more ends it at once.
#[derive(Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on. Where no signal can be heard, none is.
    pub fn listen() -> Self {
        let (tell, asked) = watch::channel(false);
        #[cfg(unix)]
        if let Ok(mut signal) =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
        {
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    hear(&tell);
                }
            });
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                hear(&tell);
            }
        });
        Self(asked)
    }

    /// Waits until somebody interrupts.
    pub async fn asked(&self) {
        let mut asked = self.0.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            // Nobody listens: it never comes.
            std::future::pending().await
        }
    }

    /// Does some work until it is done, or somebody interrupts it.
    pub async fn or<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.asked() => Err(Failure::new(Kind::Interrupted, "")),
            done = work => done,
        }
    }

    /// Does some work to its end, which `cancel` brings nearer once somebody interrupts it.
    pub async fn ending<T>(&self, work: impl Future<Output = T>, cancel: impl FnOnce()) -> T {
        tokio::pin!(work);
        tokio::select! {
            biased;
            () = self.asked() => cancel(),
            done = &mut work => return done,
        }
        work.await
    }
}

fn hear(tell: &watch::Sender<bool>) {
    if tell.send_replace(true) {
        std::process::exit(Kind::Interrupted.code().into());
    }
}
