//! A bare commit: what making one entry durable costs at least.

use redb::{Database, TableDefinition};

use crate::measure::Times;
use crate::scratch;

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rounds");
const COMMITS: usize = 1000;
/// An entry with what stands around it has about this many bytes.
const BLOB: [u8; 512] = [7; 512];

/// Two-phase commits of one blob each, one after the other.
pub(crate) fn measure() -> anyhow::Result<Times> {
    let folder = scratch::folder()?;
    let database = Database::create(folder.path().join("bench.redb"))?;
    let mut round = 0;
    Times::each(COMMITS, || {
        let mut write = database.begin_write()?;
        write.set_two_phase_commit(true);
        write.open_table(TABLE)?.insert(round, BLOB.as_slice())?;
        write.commit()?;
        round += 1;
        Ok(())
    })
}
