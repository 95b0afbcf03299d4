//! The engine in memory: for tests, and for what need not outlive the process.

/// Keeps everything in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryEventStore {}
