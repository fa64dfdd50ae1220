use super::*;

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let name = format!("torouter-spool-{}", Ids::random().next(""));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn rows(from: i64, count: i64) -> Vec<UsageRow> {
    let row = |at| UsageRow {
        at,
        key: "a \"name\"\n".into(),
        ..UsageRow::default()
    };
    (from..from + count).map(row).collect()
}

fn open(folder: &Folder) -> Opened {
    Spool::open(&folder.0, 1 << 20).expect("a spool")
}

#[test]
fn what_a_process_left_behind_is_adopted_and_its_half_line_skipped() {
    let folder = Folder::new();
    let opened = open(&folder);
    let mut segment = opened.spool.write("a-1", &rows(0, 3)).expect("room");
    opened
        .spool
        .append(&mut segment, &rows(3, 2))
        .expect("room");
    let mut file = OpenOptions::new()
        .append(true)
        .open(&segment.path)
        .expect("a file");
    file.write_all(b"{\"t\":7,\"id\":\"re").expect("written");
    drop(opened);
    let next = open(&folder);
    let [left] = next.left.as_slice() else {
        panic!("{:?}", next.left)
    };
    assert_eq!(left.id(), "a-1");
    assert_eq!(Spool::read(left).expect("a file"), (rows(0, 5), 1));
    next.spool.remove(left);
    drop(next);
    let last = open(&folder);
    assert!(last.left.is_empty() && last.adopted.is_empty());
    assert_eq!(last.spool.bytes.load(Relaxed), 0);
}

#[test]
fn what_a_living_process_has_is_left_alone() {
    let folder = Folder::new();
    let first = open(&folder);
    first.spool.write("a-1", &rows(0, 1)).expect("room");
    let second = open(&folder);
    assert!(second.left.is_empty());
    drop(first);
    assert_eq!(open(&folder).left.len(), 1);
}

#[test]
fn the_spool_holds_no_more_than_it_may() {
    let folder = Folder::new();
    let Opened { spool, .. } = Spool::open(&folder.0, 2000).expect("a spool");
    let mut written = Vec::new();
    let refused = loop {
        match spool.write(&format!("a-{}", written.len()), &rows(0, 1)) {
            Ok(segment) => written.push(segment),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
    let held: u64 = written.iter().map(|segment| segment.bytes).sum();
    assert!(held <= 2000 && written.len() > 1, "{held}");
    spool.remove(&written[0]);
    spool.write("b", &rows(0, 1)).expect("there is room again");
}

#[test]
fn only_the_gateways_user_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let opened = open(&folder);
    let segment = opened.spool.write("a-1", &rows(0, 1)).expect("room");
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode(&segment.path), mode(&folder.0)), (0o600, 0o700));
}

#[test]
fn a_file_that_is_moved_back_is_tried_again() {
    let folder = Folder::new();
    let opened = open(&folder);
    let segment = opened.spool.write("a-1", &rows(0, 2)).expect("room");
    let aside = opened.spool.put_aside(&segment).expect("moved");
    drop(opened);
    assert!(open(&folder).left.is_empty());
    fs::rename(&aside, folder.0.join("a-1.rows")).expect("moved");
    let left = open(&folder).left;
    assert_eq!(Spool::read(&left[0]).expect("a file").0.len(), 2);
}
