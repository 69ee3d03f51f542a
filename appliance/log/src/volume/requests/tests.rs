//! Files of requests beyond what is held, damaged, swapped, and asked for at every border: on a disk in memory that remembers the
//! largest piece that was read of it at once, and through a reader.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::volume::tests::Shelf;
use crate::volume::write_requests;

/// A disk with one file.
#[derive(Clone, Debug, Default)]
struct OneFile {
    bytes: Arc<Mutex<Vec<u8>>>,
    largest: Arc<AtomicUsize>,
}

impl OneFile {
    /// Frames of these lengths, the first entry of each three behind that of the one before; and what the store keeps of them.
    fn of(lengths: &[usize]) -> (Self, StoredRequests, Vec<(LeafIndex, Vec<u8>)>) {
        let byte = |at: usize| u8::try_from(at % 251).unwrap();
        let frame = |number: usize, length: usize| (0..length).map(|at| byte(at + 7 * number)).collect();
        let request =
            |(number, length): (usize, &usize)| (LeafIndex(100 + 3 * number as u64), frame(number, *length));
        let requests: Vec<_> = lengths.iter().enumerate().map(request).collect();
        let disk = Self::default();
        let written =
            write_requests(&disk, Path::new(""), 0, 0, 100, requests.iter().cloned().map(Ok)).unwrap();
        (disk, written.unwrap(), requests)
    }

    fn flip(&self, at: usize) {
        self.bytes.lock().unwrap()[at] ^= 1 << (at % 8);
    }

    fn read(&self, stored: StoredRequests, bounds: (u64, usize)) -> Result<Arc<VolumeRequests>, StoreError> {
        VolumeRequests::read_file(self, PathBuf::from("requests"), stored, bounds).map(Arc::new)
    }
}

impl Disk for OneFile {
    fn open(&self, _: &Path, open: Open) -> io::Result<Box<dyn DiskFile>> {
        if let Open::Fresh { .. } = open {
            self.bytes.lock().unwrap().clear();
        }
        Ok(Box::new(self.clone()))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

impl DiskFile for OneFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.largest.fetch_max(buffer.len(), Ordering::Relaxed);
        let from = usize::try_from(offset).unwrap();
        let bytes = self.bytes.lock().unwrap();
        let there = bytes.get(from..from + buffer.len());
        buffer.copy_from_slice(there.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.bytes.lock().unwrap();
        assert_eq!(all.len() as u64, offset, "it is written from its beginning to its end");
        all.extend_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What stands in a message about damage.
fn told<T>(outcome: Result<T, StoreError>) -> &'static str {
    match outcome {
        Err(StoreError::Damaged { what, .. }) => what,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => "nothing",
    }
}

/// Whether these requests come, in this order and byte for byte, and no others.
fn are(
    requests: impl Iterator<Item = Result<(LeafIndex, Vec<u8>), StoreError>>,
    wanted: &[(LeafIndex, Vec<u8>)],
) -> bool {
    requests.map(Result::unwrap).eq(wanted.iter().cloned())
}

/// Everything is held, nothing is.
const BOTH: [(u64, usize); 2] = [(u64::MAX, 64), (0, 64)];
const LENGTHS: [usize; 9] = [0, 1, 63, 64, 65, 127, 128, 300, 2];

#[test]
fn a_file_beyond_the_bound_is_read_in_bounded_memory() {
    let largest = |disk: &OneFile| disk.largest.swap(0, Ordering::Relaxed);
    let bounds = (MAX_WHOLE_REQUESTS_BYTES, VOLUME_PIECE_BYTES);
    let (disk, stored, wanted) = OneFile::of(&[MAX_FRAME_BYTES, 5, MAX_FRAME_BYTES, MAX_FRAME_BYTES, 0]);
    assert!(stored.bytes > MAX_WHOLE_REQUESTS_BYTES);
    let requests = disk.read(stored, bounds).unwrap();
    assert_eq!(largest(&disk), VOLUME_PIECE_BYTES, "one piece at a time while it is checked");
    assert!(requests.held_bytes() < 1024, "{} bytes are held", requests.held_bytes());
    for (found, wanted) in requests.frames(&disk, &(0..u64::MAX)).unwrap().zip(&wanted) {
        assert!(found.unwrap() == *wanted);
        assert_eq!(largest(&disk), wanted.1.len(), "one frame at a time when they are given out");
    }
    assert!(requests.frames(&disk, &(101..103)).unwrap().next().is_none());
    assert_eq!(largest(&disk), 0);

    let (disk, stored, wanted) = OneFile::of(&[MAX_FRAME_BYTES, 7, MAX_FRAME_BYTES - 100]);
    assert!(stored.bytes <= MAX_WHOLE_REQUESTS_BYTES);
    let requests = disk.read(stored, bounds).unwrap();
    assert!(requests.held_bytes() as u64 <= stored.bytes + 1024, "a small one is held once, and no more");
    let _ = largest(&disk);
    let found: Vec<_> = requests.frames(&disk, &(0..u64::MAX)).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(found == wanted);
    assert_eq!(largest(&disk), 0, "and is not read again");
}

#[test]
fn what_is_held_of_a_large_file_is_56_bytes_a_request() {
    let (disk, stored, _) = OneFile::of(&[3; 5000]);
    let held = disk.read(stored, (0, 64)).unwrap().held_bytes();
    assert!((5000 * 56..5000 * 56 + 512).contains(&held), "{held} bytes are held");
}

#[test]
fn a_byte_that_is_another_is_found_before_anything_is_given() {
    let (disk, stored, _) = OneFile::of(&LENGTHS);
    for bounds in BOTH {
        for at in 0..usize::try_from(stored.bytes).unwrap() {
            disk.flip(at);
            assert_eq!(told(disk.read(stored, bounds)), "its bytes are others", "byte {at}");
            disk.flip(at);
        }
        disk.bytes.lock().unwrap().push(0);
        assert_eq!(told(disk.read(stored, bounds)), "its length is another");
        disk.bytes.lock().unwrap().pop();
        let last = disk.bytes.lock().unwrap().pop().unwrap();
        assert_eq!(told(disk.read(stored, bounds)), "its length is another");
        disk.bytes.lock().unwrap().push(last);
        disk.read(stored, bounds).unwrap();
    }
}

#[test]
fn a_file_that_is_swapped_behind_its_check_is_not_believed() {
    let (disk, stored, wanted) = OneFile::of(&LENGTHS);
    let [held, read_again] = BOTH.map(|bounds| disk.read(stored, bounds).unwrap());
    let all = |requests: &Arc<VolumeRequests>| {
        requests.frames(&disk, &(0..u64::MAX)).unwrap().collect::<Result<Vec<_>, _>>()
    };
    for at in 0..usize::try_from(stored.bytes).unwrap() {
        disk.flip(at);
        assert_eq!(all(&held).unwrap(), wanted);
        // What stands between frames was looked at once and for all.
        let is_within = |place: &Place| (place.at..place.at + place.length as u64).contains(&(at as u64));
        let touched = read_again.places.iter().position(is_within);
        let found = all(&read_again);
        match touched {
            None => assert_eq!(found.unwrap(), wanted, "byte {at}"),
            Some(touched) => {
                assert_eq!(told(found), "its bytes are others", "byte {at}");
                let mut frames = read_again.frames(&disk, &(0..u64::MAX)).unwrap();
                assert!(are(frames.by_ref().take(touched), &wanted[..touched]));
                assert!(frames.next().unwrap().is_err());
                assert!(frames.next().is_none(), "nothing comes behind what is damaged");
            }
        }
        disk.flip(at);
    }
    disk.bytes.lock().unwrap().truncate(400);
    assert_eq!(told(all(&read_again)), "its length is another");
}

#[test]
fn frames_come_back_byte_for_byte_from_every_range_however_pieces_cut_the_file() {
    let (disk, stored, wanted) = OneFile::of(&LENGTHS);
    let in_pieces = (HEAD_BYTES.max(MAX_PLACE_BYTES) + 1..200).map(|piece| (0, piece));
    for bounds in in_pieces.chain(BOTH) {
        let requests = disk.read(stored, bounds).unwrap();
        assert!(are(requests.frames(&disk, &(0..u64::MAX)).unwrap(), &wanted), "{bounds:?}");
    }
    for requests in BOTH.map(|bounds| disk.read(stored, bounds).unwrap()) {
        for (from, to) in (98..130).flat_map(|from| (98..130).map(move |to| (from, to))) {
            let inside: Vec<_> =
                wanted.iter().filter(|(first, _)| (from..to).contains(&first.0)).cloned().collect();
            let frames = || requests.frames(&disk, &(from..to)).unwrap();
            assert!(are(frames(), &inside), "{from}..{to}");
            assert_eq!(frames().next_back().map(Result::unwrap), inside.last().cloned(), "{from}..{to}");
        }
    }
}

#[test]
fn what_the_store_vouches_for_and_is_no_file_of_requests_is_refused() {
    let (disk, _, _) = OneFile::of(&[5]);
    let whole = disk.bytes.lock().unwrap().clone();
    let mut long = whole[..HEAD_BYTES].to_vec();
    long.push(100);
    assent_proto::codec::append_varint(MAX_FRAME_BYTES as u64 + 1, &mut long);
    long.resize(long.len() + MAX_FRAME_BYTES + 1, 0);
    let overlong = [&whole[..HEAD_BYTES], &[0x80, 0x00, 0x00]].concat();
    let other = [b"assent/volume/v1\0".as_slice(), &[0; 40]].concat();
    let cut = [HEAD_BYTES - 1, HEAD_BYTES + 1, whole.len() - 1].map(|to| whole[..to].to_vec());
    for bytes in [Vec::new(), long, overlong, other].into_iter().chain(cut) {
        let digest = Hash(*blake3::hash(&bytes).as_bytes());
        let stored = StoredRequests { edition: 0, bytes: bytes.len() as u64, digest };
        *disk.bytes.lock().unwrap() = bytes;
        for bounds in BOTH {
            assert_eq!(told(disk.read(stored, bounds)), "its requests");
        }
    }
}

#[test]
fn a_reader_gives_what_was_asked_and_keeps_little_of_it() {
    let mut shelf = Shelf::new();
    let mut log = shelf.open().unwrap();
    // One volume whose requests are beyond the bound, three that are held one at a time or two, and small ones.
    for (volume, megabytes) in [22_usize, 15, 15, 15].into_iter().enumerate() {
        shelf.more = megabytes * 1024 * 1024 / 8;
        (0..8).for_each(|round| shelf.append(&mut log, 1, round + volume > 0));
    }
    shelf.more = 0;
    [3, 1, 8, 1, 20, 5, 2, 7].into_iter().for_each(|leaves| shelf.append(&mut log, leaves, true));
    let (reader, size) = (log.reader(), log.frontier().size().0);
    assert!((4 * 8..size / 8 * 8).contains(&(reader.volumes().unwrap() * 8)), "some are not bound");
    for index in 0..size {
        let wanted = shelf.requests.iter().rfind(|(first, _)| first.0 <= index).cloned();
        assert!(reader.request_around(LeafIndex(index)).unwrap() == wanted, "around {index}");
        assert!(reader.kept_bytes() <= MAX_KEPT_REQUESTS_BYTES, "{} bytes are kept", reader.kept_bytes());
    }
    for (from, to) in [(0, 1), (7, 9), (6, 24), (8, 8), (30, 45), (31, 33), (44, size), (0, size + 9)] {
        let wanted: Vec<_> =
            shelf.requests.iter().filter(|(first, _)| (from..to).contains(&first.0)).cloned().collect();
        assert!(are(reader.each_request_in(from..to).unwrap(), &wanted), "{from}..{to}");
    }

    let path = requests_path(&shelf.log().with_extension("volumes"), 0, 0);
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let known = reader.each_request_in(0..8).unwrap().collect::<Result<Vec<_>, _>>();
    assert_eq!(told(known), "its bytes are others");
    let new = crate::reader::Reader::new(Arc::clone(&log.store));
    assert_eq!(
        told(new.request_around(LeafIndex(0))),
        "its bytes are others",
        "though that frame is as it was"
    );
    let mut requests = new.each_request_in(0..size).unwrap();
    assert!(requests.next().unwrap().is_err());
    assert!(requests.next().is_none());
}
