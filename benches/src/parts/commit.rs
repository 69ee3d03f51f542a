//! A bare commit: what making one lone intent's round durable costs at least.

use redb::{Database, TableDefinition};

use crate::measure::Times;
use crate::scratch;

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rounds");
const COMMITS: usize = 1000;

/// Two-phase commits of one row of so many bytes each, one after the other.
pub(crate) fn measure(bytes: usize) -> anyhow::Result<Times> {
    let folder = scratch::folder()?;
    let database = Database::create(folder.path().join("bench.redb"))?;
    let (mut round, row) = (0, vec![7; bytes]);
    Times::each(COMMITS, || {
        let mut write = database.begin_write()?;
        write.set_two_phase_commit(true);
        write.open_table(TABLE)?.insert(round, row.as_slice())?;
        write.commit()?;
        round += 1;
        Ok(())
    })
}
