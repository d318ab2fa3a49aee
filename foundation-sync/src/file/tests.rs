//! What a replaced file promises, cut at each step and each byte.

use std::{
    fs,
    io::{self, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        net::UnixListener,
    },
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use super::{
    ReplaceError, Step, Why,
    place::{name_beside, platform::give},
    replace,
};
use crate::{
    atomic::{AtomicUsize, Ordering},
    thread,
};

const STEPS: [Step; 5] = [Step::Created, Step::Written, Step::Synchronised, Step::Renamed, Step::DirectorySynchronised];

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    (directory, file)
}

fn by_steps<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    done: &mut dyn FnMut(Step) -> io::Result<()>,
) -> Result<T, ReplaceError> {
    super::by_steps(path, write, done, &mut fs::File::sync_all)
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn put(path: &Path, text: &str) {
    replace(path, |out| out.write_all(text.as_bytes())).expect("there is a place for it");
}

#[track_caller]
fn check_names(directory: &Path, expect: &[&str]) {
    let mut names: Vec<_> = fs::read_dir(directory)
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("it is text"))
        .collect();
    names.sort();
    assert_eq!(names, expect);
}

/// A cut now: what stands in the directory is copied, and written anew from there.
fn cut(directory: &Path, old: Option<&str>, replaced: bool) {
    let copy = tempfile::tempdir().expect("a directory");
    for entry in fs::read_dir(directory).expect("it is there") {
        let entry = entry.expect("it can be read");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("it is a file");
    }
    let file = copy.path().join("file");
    assert_eq!(text(&file).as_deref(), if replaced { Some("the new one") } else { old });
    put(&file, "after");
    assert_eq!(text(&file).as_deref(), Some("after"));
    check_names(copy.path(), &["file"]);
}

#[test]
fn a_cut_at_any_step_and_any_byte_leaves_the_old_file_or_the_new_one() {
    for old in [None, Some("the old one, which is longer")] {
        let (directory, file) = place();
        if let Some(old) = old {
            put(&file, old);
        }
        let mut steps = Vec::new();
        let byte_by_byte = |out: &mut dyn Write| {
            for byte in b"the new one" {
                out.write_all(&[*byte])?;
                out.flush()?;
                cut(directory.path(), old, false);
            }
            Ok(11)
        };
        let wrote = by_steps(&file, byte_by_byte, &mut |step| {
            cut(directory.path(), old, matches!(step, Step::Renamed | Step::DirectorySynchronised));
            if step == Step::Synchronised {
                let beside = text(&directory.path().join(".file.foundation-new"));
                assert_eq!(beside.as_deref(), Some("the new one"), "nothing of it is still in a buffer");
            }
            steps.push(step);
            Ok(())
        });
        assert_eq!((wrote.expect("nothing failed"), steps.remove(0)), (11, Step::Opened));
        assert_eq!(steps, STEPS);
        assert_eq!(text(&file).as_deref(), Some("the new one"));
        check_names(directory.path(), &["file"]);
    }
}

#[test]
fn an_error_at_any_step_says_what_stands_there_and_leaves_nothing_beside() {
    for fails in STEPS {
        let (directory, file) = place();
        put(&file, "old");
        let write = |out: &mut dyn Write| out.write_all(b"new");
        let error = by_steps(&file, write, &mut |step| {
            if step == fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        let error = error.expect_err("it was let fail");
        let late = matches!(fails, Step::Renamed | Step::DirectorySynchronised);
        assert_eq!((error.is_replaced(), text(&file).as_deref()), (late, Some(if late { "new" } else { "old" })));
        check_names(directory.path(), &["file"]);
        let said = error.to_string();
        let expect = if late { "may be the old one again" } else { "/file` is as it was" };
        assert!(said.contains(expect) && said.contains("no storage space"), "{said}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn who_fails_or_panics_while_it_writes_changes_nothing() {
    let (directory, file) = place();
    put(&file, "old");
    let failed = replace(&file, |out| {
        out.write_all(b"half")?;
        Err::<(), _>(io::Error::other("no more words"))
    });
    let failed = failed.expect_err("it failed");
    assert_eq!((failed.why(), failed.path(), failed.error().to_string()), (Why::Write, &*file, "no more words".into()));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        replace(&file, |out| {
            out.write_all(b"half")?;
            out.flush()?;
            panic!("a bug")
        })
        .map(|(): ()| ())
    }));
    assert!(panicked.is_err());
    assert_eq!(text(&file).as_deref(), Some("old"));
    check_names(directory.path(), &["file"]);
}

#[test]
fn permissions_and_owner_of_a_file_that_is_replaced_stay() {
    for mode in [0o600, 0o640, 0o444, 0o4755] {
        let (_directory, file) = place();
        put(&file, "old");
        // It is somebody else's, where we may give it away.
        _ = chown(&file, Some(12), Some(34));
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("it is ours");
        let before = fs::metadata(&file).expect("it is there");
        put(&file, "new");
        let after = fs::metadata(&file).expect("it is there");
        assert_ne!(before.ino(), after.ino(), "it is another file");
        assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    }
}

#[test]
fn nobody_opens_the_new_content_before_it_has_the_old_ones_permissions() {
    let (directory, file) = place();
    put(&file, "old");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o660)).expect("it is ours");
    fs::write(directory.path().join(".file.foundation-new"), "left, and open to all").expect("there is room");
    let mut seen = Vec::new();
    let write = |out: &mut dyn Write| out.write_all(b"new");
    let replaced = by_steps(&file, write, &mut |step| {
        if matches!(step, Step::Created | Step::Written) {
            let beside = fs::metadata(directory.path().join(".file.foundation-new"))?;
            seen.push((beside.mode() & 0o077, beside.len()));
        }
        Ok(())
    });
    replaced.expect("nothing failed");
    assert_eq!(seen, [(0, 0), (0, 3)]);
    assert_eq!(fs::metadata(&file).expect("it is there").mode() & 0o777, 0o660);
}

#[test]
fn a_symbolic_link_stays_and_what_it_points_at_is_replaced() {
    let (directory, file) = place();
    let elsewhere = directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("there is room");
    symlink("elsewhere/target", &file).expect("there is room");
    let link_to_link = directory.path().join("link");
    symlink(&file, &link_to_link).expect("there is room");
    for (path, written) in [(&file, "what a link without a target points at is made"), (&link_to_link, "twice")] {
        put(path, written);
        assert_eq!(text(&elsewhere.join("target")).as_deref(), Some(written));
        check_names(&elsewhere, &["target"]);
        check_names(directory.path(), &["elsewhere", "file", "link"]);
        assert!(fs::symlink_metadata(path).expect("it is there").is_symlink());
    }
    fs::remove_file(&link_to_link).expect("it is there");
    symlink("link", &link_to_link).expect("there is room");
    let error = replace(&link_to_link, |_| Ok(())).expect_err("it leads nowhere");
    assert!(error.why() == Why::NoFile && error.to_string().contains("too many symbolic links"), "{error}");
}

#[test]
fn what_a_crash_left_is_overwritten() {
    let (directory, file) = place();
    let left = directory.path().join(".file.foundation-new");
    for mode in [0o644, 0o444, 0o000] {
        fs::write(&left, "x".repeat(1000)).expect("there is room");
        fs::set_permissions(&left, fs::Permissions::from_mode(mode)).expect("it is ours");
        // One that can't be opened can't be told from another's, but by the administrator.
        if fs::File::open(&left).is_ok() {
            put(&file, "new");
            assert_eq!(text(&file).as_deref(), Some("new"));
            check_names(directory.path(), &["file"]);
        }
    }
}

#[test]
fn what_stands_beside_and_is_nobodys_left_over_is_not_touched() {
    let (directory, file) = place();
    let (left, precious) = (directory.path().join(".file.foundation-new"), directory.path().join("precious"));
    fs::write(&precious, "precious").expect("there is room");
    symlink(&precious, &left).expect("there is room");
    let refused = replace(&file, |_| Ok(())).expect_err("there is a link in the way");
    assert!(refused.why() == Why::Create && refused.to_string().contains(".file.foundation-new"), "{refused}");
    fs::remove_file(&left).expect("it is there");
    fs::create_dir(&left).expect("there is room");
    let refused = replace(&file, |_| Ok(())).expect_err("there is a directory in the way");
    assert!(refused.to_string().contains("move it away"), "{refused}");
    assert_eq!(text(&precious).as_deref(), Some("precious"));
    check_names(directory.path(), &[".file.foundation-new", "precious"]);
}

#[test]
fn a_place_where_nothing_can_be_written_is_an_error_that_names_it() {
    let (directory, file) = place();
    put(&file, "old");
    let socket = directory.path().join("socket");
    let _listening = UnixListener::bind(&socket).expect("there is room");
    let table = [
        (directory.path().join("none/file"), Why::OpenDirectory, "/none` can't be opened"),
        (file.join("file"), Why::Look, "/file/file` can't be looked at"),
        (directory.path().to_owned(), Why::NoFile, "a directory"),
        (socket.clone(), Why::NoFile, "a socket"),
        (directory.path().join(".."), Why::NoFile, "a directory"),
        (PathBuf::new(), Why::NoFile, "it names no file"),
        (file.join(""), Why::NoFile, "the path of a directory"),
        (directory.path().join("none/"), Why::NoFile, "the path of a directory"),
        (directory.path().join("none/."), Why::NoFile, "the path of a directory"),
    ];
    for (path, why, expect) in table {
        let error = replace(&path, |_| Ok(())).expect_err("it can't be");
        assert_eq!(error.why(), why, "{error}");
        assert!(error.to_string().contains(expect), "{error}");
    }
    check_names(directory.path(), &["file", "socket"]);
    assert_eq!(text(&file).as_deref(), Some("old"));
}

#[test]
fn of_two_who_replace_a_file_at_once_one_is_told_so() {
    let (directory, file) = place();
    let inner = replace(&file, |out| {
        out.write_all(b"outer")?;
        Ok(replace(&file, |out| out.write_all(b"inner")).map_err(|error| error.why()))
    });
    assert_eq!(inner.expect("it was there first"), Err(Why::Busy));
    assert_eq!(text(&file).as_deref(), Some("outer"));
    check_names(directory.path(), &["file"]);
}

#[test]
fn who_was_overtaken_before_it_had_the_lock_leaves_the_new_file_alone() {
    for left_over in [false, true] {
        let (directory, file) = place();
        let beside = directory.path().join(".file.foundation-new");
        if left_over {
            fs::write(&beside, "left").expect("there is room");
        }
        let mut overtaken = false;
        let write = |out: &mut dyn Write| out.write_all(b"second");
        let replaced = by_steps(&file, write, &mut |step| {
            if step == Step::Opened && !std::mem::replace(&mut overtaken, true) {
                put(&file, "first");
            }
            assert_eq!(text(&file).as_deref(), Some(if step >= Step::Renamed { "second" } else { "first" }));
            Ok(())
        });
        replaced.expect("it looks again");
        check_names(directory.path(), &["file"]);
    }
}

#[test]
fn a_left_over_that_became_a_writers_own_is_not_removed() {
    let (directory, file) = place();
    let beside = directory.path().join(".file.foundation-new");
    fs::write(&beside, "left").expect("there is room");
    let (mut overtaken, mut inner) = (false, None);
    // Found and opened; until it is locked another one has removed it, and writes.
    let outer = by_steps(&file, |_| Ok(()), &mut |step| {
        if step == Step::Opened && !std::mem::replace(&mut overtaken, true) {
            fs::remove_file(&beside)?;
            let other = fs::File::create(&beside)?;
            other.try_lock()?;
            inner = Some(other);
        }
        Ok(())
    });
    assert_eq!(outer.expect_err("the other one has it").why(), Why::Busy);
    check_names(directory.path(), &[".file.foundation-new"]);
}

#[test]
fn whoever_reads_while_many_write_finds_one_whole_file() {
    let (directory, file) = place();
    put(&file, &"0".repeat(10_000));
    let written = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (1..=4)
        .map(|number: u8| {
            let (file, count) = (file.clone(), Arc::clone(&written));
            let write = move || {
                let text = number.to_string().repeat(10_000);
                let written = |_: &usize| match replace(&file, |out| out.write_all(text.as_bytes())) {
                    Ok(()) => true,
                    Err(error) if error.why() == Why::Busy => false,
                    Err(error) => panic!("{error}"),
                };
                _ = count.fetch_add((0..100).filter(written).count(), Ordering::Relaxed);
            };
            thread::Builder::new("writer").spawn(write).expect("there is a thread")
        })
        .collect();
    for _ in 0..200 {
        let text = text(&file).expect("it is always there");
        assert!(text.len() == 10_000 && text.bytes().all(|byte| byte == text.as_bytes()[0]), "{}", text.len());
    }
    writers.into_iter().for_each(|writer| writer.join().expect("none failed"));
    assert!(written.load(Ordering::Relaxed) > 0);
    check_names(directory.path(), &["file"]);
}

#[test]
fn an_error_before_the_lock_leaves_nothing_beside_either() {
    let (directory, file) = place();
    put(&file, "old");
    let error = by_steps(&file, |_| Ok(()), &mut |step| {
        if step == Step::Opened { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    });
    assert_eq!(error.expect_err("it was let fail").why(), Why::Create);
    assert_eq!(text(&file).as_deref(), Some("old"));
    check_names(directory.path(), &["file"]);
}

#[test]
fn a_file_of_the_users_own_beside_is_not_lost() {
    let (directory, file) = place();
    let other = directory.path().join("file.new");
    put(&other, "precious, and replaced by us as well");
    put(&file, "new");
    assert_eq!(text(&other).as_deref(), Some("precious, and replaced by us as well"));
}

#[test]
fn a_name_that_is_as_long_as_a_name_may_be_is_replaced() {
    let (directory, _) = place();
    let [file, other] = ["n", "o"].map(|last| directory.path().join("n".repeat(254) + last));
    fs::write(&file, "old").expect("the system takes it");
    // Two of them are not in each other's way.
    let inner = replace(&file, |out| {
        put(&other, "other");
        out.write_all(b"new")
    });
    inner.expect("it can be written");
    assert_eq!((text(&file).as_deref(), text(&other).as_deref()), (Some("new"), Some("other")));
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 2);
    for (length, expect) in [(126, 142), (127, 143), (128, 32), (255, 32)] {
        assert_eq!(name_beside("n".repeat(length).as_ref()).len(), expect, "{length}");
    }
    // The next life of the program has to find what this one has left.
    assert_eq!(name_beside("n".repeat(200).as_ref()), ".49d2e11f3349b4c5.foundation-new");
}

#[test]
fn what_a_mode_says_of_an_owner_or_a_group_that_can_not_be_taken_over_is_not_said_of_another() {
    use io::ErrorKind::{InvalidInput, PermissionDenied, StorageFull};
    #[track_caller]
    fn check(answers: &[Option<io::ErrorKind>], expect: Result<u32, io::ErrorKind>) {
        let mut asked = Vec::new();
        let given = give(0o7777, (12, 34), |owner, group| {
            asked.push((owner, group));
            answers[asked.len() - 1].map_or(Ok(()), |kind| Err(kind.into()))
        });
        assert_eq!(given.map_err(|error| error.kind()), expect);
        assert_eq!(asked, [(Some(12), Some(34)), (None, Some(34))][..answers.len()]);
    }
    check(&[None], Ok(0o7777));
    check(&[Some(PermissionDenied), None], Ok(0o3777));
    check(&[Some(InvalidInput), None], Ok(0o3777));
    check(&[Some(PermissionDenied), Some(PermissionDenied)], Ok(0o1707));
    check(&[Some(StorageFull)], Err(StorageFull));
    check(&[Some(PermissionDenied), Some(StorageFull)], Err(StorageFull));
}

#[test]
fn the_new_file_is_brought_to_the_disk_before_it_is_renamed_and_the_directory_after() {
    let (directory, file) = place();
    let of = |path: &Path| fs::metadata(path).map(|there| there.ino());
    let mut brought = Vec::new();
    let written = super::by_steps(&file, |out| out.write_all(b"new"), &mut |_| Ok(()), &mut |it| {
        brought.push((it.metadata()?.ino(), it.metadata()?.len(), of(&file).ok()));
        it.sync_all()
    });
    written.expect("there is room");
    let [new, all] = [&*file, directory.path()].map(|path| of(path).expect("it is there"));
    assert_eq!(brought.len(), 2);
    assert_eq!((brought[0], (brought[1].0, brought[1].2)), ((new, 3, None), (all, Some(new))));
}
