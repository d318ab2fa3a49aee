//! A file, and what is known of it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

#[cfg(not(test))]
use foundation_sync::file::{Step, replace_by_steps};
use foundation_sync::{Mutex, file::ReplaceError, planted};

use super::{
    For, News,
    file::{self, Content, Part, Record, Unknown},
};
use crate::{
    ChangeError, FileError, StartError,
    state::{Shape, State},
};

/// How often it is tried once more when a person saves the file while it is written.
pub(crate) const MOST_AGAIN: usize = 3;

#[derive(Default)]
pub(crate) struct Store {
    path: Option<PathBuf>,
    book: Mutex<Book>,
    #[cfg(test)]
    pub(super) during: super::tests::During,
}

#[derive(Default)]
struct Book {
    known: Known,
    /// Of which flags something is said there that are not declared.
    unknown: Vec<Arc<str>>,
    /// Why the last attempt to write failed, if it did.
    error: Option<Arc<str>>,
    /// Why the last reload was refused, if it was.
    refused: Option<Arc<str>>,
    /// Nobody was told of it yet.
    news: Option<News>,
    refused_news: Option<News>,
}

/// What was read or written last.
#[derive(Clone, Default)]
struct Known {
    /// `None`: there was no file.
    text: Option<Arc<str>>,
    /// After which decision it was made.
    version: u64,
    stage: usize,
    /// By a flag's number; nothing of those of no plan.
    held: Vec<bool>,
    /// What is said of flags there is a person's, and was not reloaded yet.
    edited: bool,
}

/// What a person has made of the file.
pub(crate) struct Reread {
    pub(crate) content: Content,
    text: Arc<str>,
}

/// How a write ended that did not fail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    Done,
    /// A person has saved the file meanwhile: it is as they left it.
    Overtaken,
}

impl Store {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, ..Self::default() }
    }

    /// Whether there is a file.
    pub(crate) fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    #[cfg(feature = "watch")]
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether a reload may find something. Also for those who have no role: in between of a write it may seem so.
    #[cfg(feature = "watch")]
    pub(crate) fn seems_changed(&self) -> bool {
        let there = self.path.as_ref().map(|path| file::read_text(path));
        let known = self.book.lock().known.clone();
        known.edited || !matches!(there, Some(Ok(there)) if there.as_deref() == known.text.as_deref())
    }

    /// Whether a person has changed the file, as far as that was seen, and it was not reloaded since.
    pub(crate) fn is_edited(&self) -> bool {
        self.book.lock().known.edited
    }

    /// Of which flags something is said in the file that are not declared.
    pub(crate) fn unknown(&self) -> Vec<Arc<str>> {
        self.book.lock().unknown.clone()
    }

    /// Why the last attempt to write failed.
    pub(crate) fn error(&self) -> Option<Arc<str>> {
        self.book.lock().error.clone()
    }

    /// Why the last reload was refused.
    pub(crate) fn reload_error(&self) -> Option<Arc<str>> {
        self.book.lock().refused.clone()
    }

    /// Both, once for each failure; of several that nobody was told of, the last.
    pub(crate) fn take_news(&self) -> Vec<News> {
        let mut book = self.book.lock();
        [book.news.take(), book.refused_news.take()].into_iter().flatten().collect()
    }

    /// The state that was written down, or the first one if there is no file yet, or an empty one.
    pub(crate) fn load(&self, shape: &Shape, first: State) -> Result<State, StartError> {
        let Some(path) = &self.path else { return Ok(first) };
        let Some(text) = file::read_text(path).map_err(StartError::File)? else { return Ok(first) };
        let content = file::content(path, &text, shape, Unknown::NotNear).map_err(StartError::File)?;
        let unknown = content.unknown.clone();
        let made_after = content.made_after.as_ref().map(|made_after| made_after.value);
        let state = file::state(content, shape, first);
        let known = Known::of(text.into(), &state);
        let mut book = self.book.lock();
        (book.known, book.unknown) = (Known { version: made_after.unwrap_or(known.version), ..known }, unknown);
        drop(book);
        Ok(state)
    }

    /// Writes the state down durably, or says why not: then the file is the one that it was, or, if the directory could
    /// not be synchronised, the new one.
    pub(crate) fn save(&self, shape: &Shape, state: &State, purpose: For) -> Result<(), ChangeError> {
        let Some(path) = &self.path else { return Ok(()) };
        for _ in 0..=MOST_AGAIN {
            // Race "save against save".
            if self.save_once(path, shape, state, purpose)? == Put::Done {
                return Ok(());
            }
        }
        match purpose {
            For::Risk => Err(self.changed(path)),
            For::Published => {
                let path = path.display();
                Err(self
                    .failed(format!("{path} is changed by hand again and again: its next change writes it once more")))
            }
        }
    }

    fn save_once(&self, path: &Path, shape: &Shape, state: &State, purpose: For) -> Result<Put, ChangeError> {
        let known = self.book.lock().known.clone();
        let there = file::read_text(path).map_err(|error| self.failed(error.to_string()))?;
        // A file that is gone, or empty, has nothing that could be lost.
        let full = there.as_deref().filter(|there| !there.trim().is_empty());
        let edited = full.is_some_and(|there| known.edited || known.text.as_deref() != Some(there))
            && !planted!("store: what a person changed is not looked for");
        let mut part = Part::All;
        if edited {
            self.book.lock().known.edited = true;
            // What stands there is a person's: it may be anything.
            match (self.content(path, full.unwrap_or_default(), shape), purpose) {
                (Ok(content), For::Published) if content.is_old([known.version, state.version]) => {
                    part = Part::NoRulesOfOld;
                }
                (Ok(_), For::Published) => part = Part::NoRules,
                (Ok(_), For::Risk) => return Err(self.changed(path)),
                (Err(error), For::Risk) => return Err(ChangeError::FileText(error)),
                (Err(error), For::Published) => return Err(self.failed(error.to_string())),
            }
        }
        let old = full.unwrap_or_default();
        let text = file::entered(path, old, shape, state, part).map_err(|error| self.failed(error.to_string()))?;
        if edited && text == old {
            self.succeeded(Known { edited, ..Known::of(text.into(), state) });
            return Ok(Put::Done);
        }
        self.put(path, there.as_deref(), text.into(), state, edited)
    }

    /// What a person has changed; `None`: nothing. A [record](Record) that is another than what was written, and than what
    /// is, is refused.
    pub(crate) fn reread(&self, shape: &Shape, state: &State) -> Result<Option<Reread>, ChangeError> {
        let Some(path) = &self.path else { return Err(ChangeError::NoFile) };
        let refused = |problem: &str| ChangeError::FileText(FileError::new(path, None, problem));
        let Some(text) = file::read_text(path).map_err(ChangeError::FileText)? else {
            return Err(refused("it is not there: there is nothing to reload"));
        };
        let known = self.book.lock().known.clone();
        if !known.edited && known.text.as_deref() == Some(&*text) {
            return Ok(None);
        }
        self.book.lock().known.edited = true;
        if text.trim().is_empty() {
            return Err(refused(
                "it is empty: to say nothing of any flag any more, leave an empty table `[flags]` there",
            ));
        }
        let content = self.content(path, &text, shape).map_err(ChangeError::FileText)?;
        file::same_record(path, &text, shape, &content, [known.record(), record(state)])
            .map_err(ChangeError::FileText)?;
        Ok(Some(Reread { content, text: text.into() }))
    }

    /// Whether what was reread may stay as it is: nothing is behind, and nothing of the record is missing.
    pub(crate) fn is_as_it_ought_to_be(&self, reread: &Reread, shape: &Shape, state: &State) -> bool {
        self.book.lock().error.is_none() && reread.content.has_record(shape, record(state))
    }

    /// It may stay as it is. Counts as [`Self::save_over`] does.
    pub(crate) fn leave(&self, reread: &Reread, state: &State) {
        self.succeeded(Known { edited: true, ..Known::of(Arc::clone(&reread.text), state) });
    }

    /// Writes the state over what was reread. It counts as a person's until it is [taken up](Self::take_up).
    pub(crate) fn save_over(&self, reread: &Reread, shape: &Shape, state: &State) -> Result<(), ChangeError> {
        let Some(path) = &self.path else { return Ok(()) };
        let entered = file::entered(path, &reread.text, shape, state, Part::All);
        let text = entered.map_err(|error| self.failed(error.to_string()))?;
        if text == *reread.text {
            self.succeeded(Known { edited: true, ..Known::of(text.into(), state) });
            return Ok(());
        }
        match self.put(path, Some(&reread.text), text.into(), state, true)? {
            Put::Done => Ok(()),
            Put::Overtaken => Err(self.changed(path)),
        }
    }

    /// What was reread, and written over, is what is published.
    pub(crate) fn take_up(&self, reread: Reread) {
        let mut book = self.book.lock();
        (book.known.edited, book.unknown) = (false, reread.content.unknown);
    }

    /// What a text says that stands there while the program runs.
    fn content(&self, path: &Path, text: &str, shape: &Shape) -> Result<Content, FileError> {
        let unknown = self.unknown();
        file::content(path, text, shape, Unknown::Only(&unknown))
    }

    /// How a reload ended.
    pub(crate) fn reloaded(&self, refused: Option<Arc<str>>) {
        let mut book = self.book.lock();
        book.refused_news = refused.clone().map(News::Refused);
        book.refused = refused;
    }

    /// Puts a text in the place of the old one, if that still stands there.
    fn put(
        &self,
        path: &Path,
        old: Option<&str>,
        text: Arc<str>,
        state: &State,
        edited: bool,
    ) -> Result<Put, ChangeError> {
        let mut overtaken = false;
        let put = self.replace(path, &text, || {
            overtaken = !matches!(file::read_text(path), Ok(there) if there.as_deref() == old);
            if overtaken { Err(io::Error::other("it was changed meanwhile")) } else { Ok(()) }
        });
        let known = Known { edited, ..Known::of(text, state) };
        match put {
            Ok(()) => {
                self.succeeded(known);
                Ok(Put::Done)
            }
            Err(_) if overtaken => Ok(Put::Overtaken),
            Err(error) => {
                if error.is_replaced() {
                    self.book.lock().known = known;
                }
                Err(self.failed(error.to_string()))
            }
        }
    }

    /// `look` is asked just before the new one stands there.
    #[cfg(not(test))]
    fn replace(&self, path: &Path, text: &str, mut look: impl FnMut() -> io::Result<()>) -> Result<(), ReplaceError> {
        let done = |step| if step == Step::Synchronised { look() } else { Ok(()) };
        replace_by_steps(path, |out| out.write_all(text.as_bytes()), done)
    }

    #[cfg(test)]
    fn replace(&self, path: &Path, text: &str, look: impl FnMut() -> io::Result<()>) -> Result<(), ReplaceError> {
        self.during.replace(path, text, look)
    }

    /// What a person has made of it comes first.
    fn changed(&self, path: &Path) -> ChangeError {
        self.book.lock().known.edited = true;
        ChangeError::FileChanged(path.display().to_string().into())
    }

    fn succeeded(&self, known: Known) {
        let mut book = self.book.lock();
        (book.known, book.error) = (known, None);
    }

    fn failed(&self, error: String) -> ChangeError {
        let error: Arc<str> = error.into();
        let mut book = self.book.lock();
        (book.error, book.news) = (Some(Arc::clone(&error)), Some(News::Failed(Arc::clone(&error))));
        ChangeError::File(error)
    }
}

impl Known {
    fn of(text: Arc<str>, state: &State) -> Self {
        let Record { version, stage, held } = record(state);
        Self { text: Some(text), version, stage, held: held.to_vec(), edited: false }
    }

    fn record(&self) -> Record<'_> {
        Record { version: self.version, stage: self.stage, held: &self.held }
    }
}

fn record(state: &State) -> Record<'_> {
    Record { version: state.version, stage: state.stage, held: &state.held }
}
