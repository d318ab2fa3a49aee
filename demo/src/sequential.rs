//! The same files, counted by one plain loop that knows nothing of supervision.

use std::{
    fs::File,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    count::{BLOCK, count},
    tally::Tally,
    walk::{Found, Root, walk},
};

/// Counts everything; `None` if it was interrupted: by the signal of that number.
pub fn run(root: &Root, interrupted: &AtomicUsize) -> Option<Tally> {
    let mut tally = Tally::default();
    let mut block = vec![0; BLOCK];
    for found in walk(root) {
        // ordering: Relaxed, a flag by itself.
        if interrupted.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let path: PathBuf = match found {
            Found::Directory => continue,
            Found::File(path) => path,
            Found::Unreadable(path, why) => {
                tally.unreadable.push((path, why));
                continue;
            }
        };
        // ordering: Relaxed, a flag by itself.
        let go_on = |_| Ok::<_, io::Error>(interrupted.load(Ordering::Relaxed) == 0);
        let counted = File::open(root.path.join(&path)).and_then(|mut file| count(&mut file, &mut block, go_on));
        match counted {
            Ok(None) => return None,
            Ok(Some(counts)) => tally.files.push((Arc::from(path), counts)),
            Err(error) => tally.unreadable.push((path, error.to_string())),
        }
    }
    Some(tally)
}
