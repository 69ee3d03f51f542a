//! What a crash leaves: of a journal, at any of its places, one of the images that a real disk could show.
//!
//! What was synced is there, contents by their file's sync and names by their folder's. Of what came after, each write may be
//! there, missing or torn at the boundary of a sector; pages may have reached the disk in any order; a name may be old or new.
//! A process that is killed leaves all of it; a power cut leaves any of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dice::Dice;
use crate::disk::{Image, Journal, Op, write};

/// Bytes that reach the disk whole or not at all.
pub(crate) const SECTOR: usize = 512;
/// Bytes that the system writes back at once.
const PAGE: usize = 4096;

/// What becomes of what no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All of it is there: the process was killed, the system lives.
    Killed,
    /// None of it.
    Lost,
    /// What came before a moment is there.
    Until(usize),
    /// Each write is there or is not.
    Dropped,
    /// Each sector of each write is there or is not.
    Torn,
    /// Each page is as it was at a moment of its own.
    Reordered,
    /// All but the last write is there, and of that one the first sectors.
    LastTorn,
}

/// A file, as far as the journal was followed.
#[derive(Clone, Debug, Default)]
struct Followed {
    durable: Vec<u8>,
    /// Places in the journal of what came since its last sync; true where it is there for certain, because only something
    /// before it never will be.
    since: Vec<(usize, bool)>,
    /// How many of those no sync will bring to the disk any more.
    doomed: usize,
}

/// Follows a journal from its beginning, and makes images of where it stands.
#[derive(Debug)]
pub(crate) struct Follower<'j> {
    ops: &'j [Op],
    at: usize,
    files: Vec<Followed>,
    names: BTreeMap<PathBuf, usize>,
    /// Places in the journal of names that no sync of their folder covers.
    named: Vec<usize>,
}

impl<'j> Follower<'j> {
    pub(crate) fn new(journal: &'j Journal) -> Self {
        Self::over(&journal.base, &journal.ops)
    }

    pub(crate) fn over(base: &Image, ops: &'j [Op]) -> Self {
        let mut files = Vec::new();
        let mut names = BTreeMap::new();
        for (path, bytes) in base {
            names.insert(path.clone(), files.len());
            files.push(Followed { durable: bytes.to_vec(), ..Followed::default() });
        }
        Self { ops, at: 0, files, names, named: Vec::new() }
    }

    /// Goes on to the crash behind so many operations.
    pub(crate) fn go_to(&mut self, place: usize) {
        while self.at < place {
            match &self.ops[self.at] {
                Op::Create { file, .. } => {
                    if self.files.len() <= *file {
                        self.files.resize_with(file + 1, Followed::default);
                    }
                    self.named.push(self.at);
                }
                Op::Rename { .. } | Op::Remove { .. } => self.named.push(self.at),
                Op::SyncFolder { folder } => self.sync_folder(folder),
                Op::Write { file, .. } | Op::SetLen { file, .. } => {
                    self.files[*file].since.push((self.at, false));
                }
                Op::Sync { file } => self.sync(*file),
                Op::Reread { file, bytes } => {
                    self.files[*file] = Followed { durable: bytes.clone(), ..Followed::default() };
                }
                Op::FailedSync { file } => {
                    let file = &mut self.files[*file];
                    file.doomed = file.since.len();
                }
            }
            self.at += 1;
        }
    }

    fn sync(&mut self, number: usize) {
        let file = &mut self.files[number];
        if file.doomed > 0 {
            file.since.iter_mut().skip(file.doomed).for_each(|(_, certain)| *certain = true);
            return;
        }
        for (place, _) in std::mem::take(&mut file.since) {
            apply(&self.ops[place], &mut file.durable);
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        let ops = self.ops;
        let inside = |place: &usize| match &ops[*place] {
            Op::Create { path, .. } | Op::Remove { path } | Op::Rename { to: path, .. } => {
                path.parent() == Some(folder)
            }
            Op::SyncFolder { .. }
            | Op::Write { .. }
            | Op::SetLen { .. }
            | Op::Sync { .. }
            | Op::FailedSync { .. }
            | Op::Reread { .. } => false,
        };
        let (covered, rest) = std::mem::take(&mut self.named).into_iter().partition(inside);
        self.named = rest;
        let covered: Vec<usize> = covered;
        covered.into_iter().for_each(|place| rename(&ops[place], &mut self.names));
    }

    /// What the disk itself has of a file here, sector by sector.
    pub(crate) fn left_of(&self, file: usize, dice: &mut Dice) -> Vec<u8> {
        self.content(file, Mode::Torn, dice)
    }

    /// Chooses what a crash here leaves.
    pub(crate) fn choose(&self, dice: &mut Dice) -> Mode {
        let oldest = self.files.iter().flat_map(|file| file.since.first()).map(|(place, _)| *place);
        let oldest = oldest.chain(self.named.first().copied()).min().unwrap_or(self.at);
        match dice.below(12) {
            0 => Mode::Killed,
            1 => Mode::Lost,
            2 | 3 => Mode::Until(oldest + dice.below(self.at + 1 - oldest)),
            4 | 5 => Mode::Dropped,
            6 | 7 => Mode::Torn,
            8..=10 => Mode::Reordered,
            _ => Mode::LastTorn,
        }
    }

    /// What a crash here leaves in this mode.
    pub(crate) fn image(&self, mode: Mode, dice: &mut Dice) -> Image {
        let names = self.names_left(mode, dice);
        names.into_iter().map(|(path, file)| (path, Arc::new(self.content(file, mode, dice)))).collect()
    }

    fn names_left(&self, mode: Mode, dice: &mut Dice) -> BTreeMap<PathBuf, usize> {
        let mut names = self.names.clone();
        // A file system with a journal keeps the order of names; one without keeps nothing.
        let in_order = dice.chance(2, 3);
        let until = self.named.get(dice.below(self.named.len() + 1)).copied().unwrap_or(usize::MAX);
        for place in &self.named {
            let there = match mode {
                Mode::Killed => true,
                Mode::Lost => false,
                Mode::Until(moment) => *place < moment,
                Mode::Dropped | Mode::Torn | Mode::Reordered | Mode::LastTorn => {
                    if in_order {
                        *place < until
                    } else {
                        dice.chance(1, 2)
                    }
                }
            };
            if there {
                rename(&self.ops[*place], &mut names);
            }
        }
        names
    }

    fn content(&self, number: usize, mode: Mode, dice: &mut Dice) -> Vec<u8> {
        let file = &self.files[number];
        let mut content = file.durable.clone();
        let moments = Moments::of(mode, file, self.ops, dice);
        for (position, (place, certain)) in file.since.iter().enumerate() {
            let op = &self.ops[*place];
            let is_last = position + 1 == file.since.len();
            match (mode, op) {
                _ if *certain => apply(op, &mut content),
                (Mode::Killed, _) => apply(op, &mut content),
                (Mode::Lost, _) => {}
                (Mode::Until(moment), _) => {
                    if *place < moment {
                        apply(op, &mut content);
                    }
                }
                (Mode::LastTorn, Op::Write { offset, bytes, .. }) if is_last => {
                    let sectors = dice.below(bytes.len().div_ceil(SECTOR) + 1);
                    write(&mut content, *offset, &bytes[..(sectors * SECTOR).min(bytes.len())]);
                }
                (Mode::LastTorn, _) => apply(op, &mut content),
                (Mode::Torn, Op::Write { offset, bytes, .. }) => {
                    in_pieces(*offset, bytes, SECTOR, &mut content, |_| dice.chance(1, 2));
                }
                (Mode::Reordered, Op::Write { offset, bytes, .. }) => {
                    in_pieces(*offset, bytes, PAGE, &mut content, |page| moments.has(page, *place));
                }
                (Mode::Dropped | Mode::Torn | Mode::Reordered, _) => {
                    if dice.chance(1, 2) {
                        apply(op, &mut content);
                    }
                }
            }
        }
        content
    }
}

/// The moment at which each page of a file went to the disk.
struct Moments(BTreeMap<usize, usize>);

impl Moments {
    fn of(mode: Mode, file: &Followed, ops: &[Op], dice: &mut Dice) -> Self {
        let mut pages = BTreeMap::new();
        if mode != Mode::Reordered {
            return Self(pages);
        }
        for (place, _) in &file.since {
            if let Op::Write { offset, bytes, .. } = &ops[*place] {
                for page in offset / PAGE..(offset + bytes.len()).div_ceil(PAGE) {
                    // Of so many writes to it, those before one of them, or all.
                    let moment = pages.entry(page).or_insert(0);
                    if dice.chance(2, 3) {
                        *moment = place + 1;
                    }
                }
            }
        }
        Self(pages)
    }

    fn has(&self, page: usize, place: usize) -> bool {
        self.0.get(&page).is_some_and(|moment| place < *moment)
    }
}

/// Writes those pieces that are there; each lies within one aligned block of this many bytes.
fn in_pieces(
    offset: usize,
    bytes: &[u8],
    block: usize,
    content: &mut Vec<u8>,
    mut there: impl FnMut(usize) -> bool,
) {
    let mut from = offset;
    while from < offset + bytes.len() {
        let end = ((from / block + 1) * block).min(offset + bytes.len());
        if there(from / block) {
            write(content, from, &bytes[from - offset..end - offset]);
        }
        from = end;
    }
}

fn apply(op: &Op, content: &mut Vec<u8>) {
    match op {
        Op::Write { offset, bytes, .. } => write(content, *offset, bytes),
        Op::SetLen { len, .. } => content.resize(*len, 0),
        Op::Create { .. }
        | Op::Rename { .. }
        | Op::Remove { .. }
        | Op::SyncFolder { .. }
        | Op::Sync { .. }
        | Op::FailedSync { .. }
        | Op::Reread { .. } => {}
    }
}

fn rename(op: &Op, names: &mut BTreeMap<PathBuf, usize>) {
    match op {
        Op::Create { path, file } => {
            names.insert(path.clone(), *file);
        }
        Op::Rename { from, to, file } => {
            if names.get(from) == Some(file) {
                names.remove(from);
            }
            names.insert(to.clone(), *file);
        }
        Op::Remove { path } => {
            names.remove(path);
        }
        Op::Write { .. }
        | Op::SetLen { .. }
        | Op::SyncFolder { .. }
        | Op::Sync { .. }
        | Op::FailedSync { .. }
        | Op::Reread { .. } => {}
    }
}
