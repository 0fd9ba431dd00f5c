//! The local backend: a folder with a snapshot, a journal, a head and a lock.
//!
//! A flush is one write and one sync of the journal, then one of the head; then the group is acknowledged. After a
//! write that failed nothing more is written: what follows would stand behind a hole. Nothing is made on disk before
//! the first flush, and a run without changes leaves all as it was (but for the words in the lock).

use super::disk::{self, DiskFile};
use super::file::preface::{self, Preface};
use super::file::record::encode_record;
use super::file::{FORMAT, FormError, Lost, Reader, Writer, to_bytes};
use super::head::{self, Head};
use super::journal::{self, RECORD_MAX};
use super::lock::{self, Lock, LockError, Owner, Patience};
use super::open::{Mode, OpenError, OpenErrorKind, OpenOptions, OpenReport, Torn};
use super::place::Place;
use super::recovery::{Image, Recovered, recover};
use super::seal::Keys;
use super::snapshot::{self, Folded, Run};
use super::verify::verify;
use super::{OpId, OutputValue, Record, State, Store, StoreError};
use aws_lc_rs::rand;
use groma_types::Marks;
use std::path::{Path, PathBuf};

/// The journal may always be this long before it is folded into the snapshot.
const JOURNAL_MIN: u64 = 256 << 10;

/// A state in a folder.
#[derive(Debug)]
pub struct LocalStore {
    place: Place,
    mode: Mode,
    owner: Owner,
    keys: Keys,
    lock: Option<Lock>,
    folded: Folded,
    queue: Vec<Record>,
    /// The record and preface to go on from; the lineage in it is drawn at open if there is no state yet.
    preface: Preface,
    last: Head,
    files: Option<Files>,
    poisoned: Option<StoreError>,
    wrote: bool,
    /// A snapshot would lose sealed text for good, or keep what breaks the rules.
    keep_journal: bool,
    last_op: u64,
}

/// The files of a state that is open for writing.
#[derive(Debug)]
struct Files {
    journal: DiskFile,
    head: DiskFile,
    journal_start: u64,
    journal_end: u64,
    head_slot: usize,
    snapshot_len: u64,
}

impl LocalStore {
    /// Opens the state of a stack: recovers what a crash left, or says what is wrong and touches nothing.
    ///
    /// # Errors
    /// See [`OpenErrorKind`].
    pub fn open(options: &OpenOptions<'_>) -> Result<(LocalStore, OpenReport), OpenError> {
        let place = Place::new(&options.folder)?;
        let keys = Keys::open(options.key.clone()).map_err(|e| OpenError::key(&e))?;
        let (lock, dead_owner) = match options.mode {
            Mode::Write if place.exists() => {
                let (lock, dead) = take_lock(&place, &options.owner, &options.patience)?;
                (Some(lock), dead)
            }
            Mode::Write | Mode::ReadOnly => (None, None),
        };
        let mut report = OpenReport { dead_owner, ..OpenReport::default() };
        let (recovered, lost, torn) = read_image(&place, &keys, options.mode)?;
        report.lost = lost;
        let mut store = LocalStore::empty(options, place, keys, lock)?;
        if let Some(recovered) = recovered {
            store.gate(&recovered, options)?;
            store.adopt(recovered, torn.as_deref(), &mut report)?;
        } else {
            report.is_new = true;
        }
        report.broken = verify(&store.folded.state);
        store.keep_journal = !report.lost.is_empty() || !report.broken.is_empty();
        Ok((store, report))
    }

    fn empty(
        options: &OpenOptions<'_>,
        place: Place,
        keys: Keys,
        lock: Option<Lock>,
    ) -> Result<LocalStore, OpenError> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| {
            OpenError::new(OpenErrorKind::Io, "the system gives no random numbers".into(), None)
        })?;
        let lineage = super::seal::hex(&bytes);
        let state = State { lineage: lineage.as_str().into(), ..State::default() };
        let preface = Preface {
            groma_version: env!("CARGO_PKG_VERSION").into(),
            stack: options.stack_id.clone(),
            lineage,
            epoch: 0,
            sequence: 0,
            chain: [0; 32],
        };
        Ok(LocalStore {
            place,
            mode: options.mode,
            owner: options.owner.clone(),
            keys,
            lock,
            folded: Folded { state, ..Folded::default() },
            queue: Vec::new(),
            last: Head { sequence: 0, chain: preface.chain },
            preface,
            files: None,
            poisoned: None,
            wrote: false,
            keep_journal: false,
            last_op: 0,
        })
    }

    /// Refuses a state of another stack, and to write what a later version reserved for itself.
    fn gate(&self, recovered: &Recovered, options: &OpenOptions<'_>) -> Result<(), OpenError> {
        if recovered.preface.stack != options.stack_id {
            return Err(OpenError::other_stack(&self.place, &recovered.preface.stack, &options.stack_id));
        }
        if self.mode == Mode::Write && recovered.least_writer > FORMAT {
            return Err(OpenError::too_new(&self.place.journal(), recovered.least_writer, "written"));
        }
        Ok(())
    }

    /// Goes on from what was recovered; a writer first makes it durable and sets aside what is torn.
    fn adopt(
        &mut self,
        recovered: Recovered,
        torn: Option<&[u8]>,
        report: &mut OpenReport,
    ) -> Result<(), OpenError> {
        report.taken = recovered.taken;
        report.torn = torn.map(|bytes| Torn { bytes: bytes.len() as u64, file: None });
        if self.mode == Mode::Write {
            let io = |e: std::io::Error| OpenError::io("opened for writing", self.place.folder(), &e);
            let (files, aside) = Files::settle(&self.place, &recovered, torn).map_err(io)?;
            self.files = Some(files);
            if let Some(torn) = &mut report.torn {
                torn.file = aside;
            }
        }
        self.last_op = recovered.folded.last_op;
        self.folded = recovered.folded;
        self.preface = Preface { groma_version: env!("CARGO_PKG_VERSION").into(), ..recovered.preface };
        self.last = recovered.last;
        Ok(())
    }

    /// The state with all acknowledged records.
    pub fn state(&self) -> &State {
        &self.folded.state
    }

    /// Runs that changed something, oldest first; the last fifty.
    pub fn history(&self) -> &[Run] {
        &self.folded.history
    }

    /// The key file that this run has made, to be told to the user once.
    pub fn key_made(&self) -> Option<&Path> {
        self.keys.made()
    }

    /// The keys, for what is sealed outside of the state: saved plans.
    pub fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// Folds the journal into the snapshot if it has outgrown it, and lets go of the state.
    ///
    /// # Errors
    /// The snapshot can't be written; the state is as good as before.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        let outgrown = |f: &Files| f.journal_end - f.journal_start > f.snapshot_len.max(JOURNAL_MIN);
        let due = self.wrote && self.poisoned.is_none() && self.files.as_ref().is_some_and(outgrown);
        let done = if due { self.compact() } else { Ok(()) };
        self.files = None;
        self.lock = None;
        done
    }

    /// Writes a snapshot of the state and begins a new journal. Says nothing and does nothing where sealed values
    /// are lost or a rule is broken: the journal is then the only evidence.
    ///
    /// # Errors
    /// The disk failed. The state on disk is whole, and this store writes no more.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        if let Some(error) = &self.poisoned {
            return Err(error.clone());
        }
        if self.keep_journal || self.files.is_none() || !verify(&self.folded.state).is_empty() {
            return Ok(());
        }
        let done = self.write_snapshot();
        if let Err(error) = &done {
            self.poisoned = Some(error.clone());
        }
        done
    }

    fn write_snapshot(&mut self) -> Result<(), StoreError> {
        drop_unused_recipes(&mut self.folded.state);
        self.folded.last_op = self.folded.last_op.max(self.last_op);
        let preface = Preface {
            epoch: self.preface.epoch + 1,
            sequence: self.last.sequence,
            chain: self.last.chain,
            ..self.preface.clone()
        };
        let bytes = snapshot::write(&mut Writer::new(&mut self.keys), &preface, &self.folded)
            .map_err(|e| form_error(&e))?;
        let journal = preface::write(preface::JOURNAL, &preface).map_err(|e| form_error(&e))?;
        let place = &self.place;
        disk::replace(&place.snapshot(), &bytes).map_err(|e| disk_error("written", &place.snapshot(), &e))?;
        let path = place.journal();
        disk::replace(&path, &journal).map_err(|e| disk_error("begun anew", &path, &e))?;
        if let Some(files) = &mut self.files {
            files.journal = DiskFile::open(&path).map_err(|e| disk_error("opened", &path, &e))?;
            files.journal_start = journal.len() as u64;
            files.journal_end = files.journal_start;
            files.snapshot_len = bytes.len() as u64;
        }
        self.preface = preface;
        Ok(())
    }

    fn write_group(&mut self, queue: &[Record]) -> Result<(), StoreError> {
        let mut group = Vec::new();
        let mut last = self.last;
        for record in queue {
            let dto = encode_record(&mut Writer::new(&mut self.keys), record).map_err(|e| form_error(&e))?;
            let payload = to_bytes("a record", &dto).map_err(|e| form_error(&e))?;
            if payload.len() > RECORD_MAX {
                return Err(StoreError { message: "a record is larger than 256 MiB".into(), help: None });
            }
            last.sequence += 1;
            last.chain =
                journal::frame(&mut group, (last.sequence, self.preface.epoch), &payload, &last.chain);
        }
        if self.files.is_none() {
            self.create()?;
        }
        let files = self.files.as_mut().expect("a state that is open for writing has its files");
        let (journal, head) = (self.place.journal(), self.place.head());
        let write = files.journal.write_at(files.journal_end, &group).and_then(|()| files.journal.sync());
        write.map_err(|e| disk_error("written", &journal, &e))?;
        files.head_slot = head::advance(&mut files.head, files.head_slot, &last)
            .map_err(|e| disk_error("written", &head, &e))?;
        files.journal_end += group.len() as u64;
        self.last = last;
        Ok(())
    }

    /// Makes the files of a new state, under the lock; another run may have been faster.
    fn create(&mut self) -> Result<(), StoreError> {
        let place = &self.place;
        let failed = |e: &std::io::Error| disk_error("made", place.folder(), e);
        disk::make_folder(place.folder()).map_err(|e| failed(&e))?;
        if self.lock.is_none() {
            let taken = take_lock(place, &self.owner, &Patience::NONE).map_err(StoreError::from)?;
            self.lock = Some(taken.0);
        }
        let (there, ..) = read_image(place, &self.keys, Mode::Write).map_err(StoreError::from)?;
        if there.is_some() {
            return Err(StoreError {
                message: format!("another run has made the state in {} meanwhile", place.folder().display()),
                help: Some("run the command again: it then starts from that state".into()),
            });
        }
        disk::make(&place.gitignore(), b"*\n").map_err(|e| failed(&e))?;
        let journal = preface::write(preface::JOURNAL, &self.preface).map_err(|e| form_error(&e))?;
        let first = Head { sequence: self.preface.sequence, chain: self.preface.chain };
        disk::replace(&place.head(), &head::first(&first)).map_err(|e| failed(&e))?;
        disk::replace(&place.journal(), &journal).map_err(|e| failed(&e))?;
        self.files = Some(Files {
            journal: DiskFile::open(&place.journal()).map_err(|e| failed(&e))?,
            head: DiskFile::open(&place.head()).map_err(|e| failed(&e))?,
            journal_start: journal.len() as u64,
            journal_end: journal.len() as u64,
            head_slot: 0,
            snapshot_len: 0,
        });
        Ok(())
    }
}

impl Store for LocalStore {
    fn load(&self) -> State {
        self.folded.state.clone()
    }

    fn next_op(&mut self) -> OpId {
        self.last_op += 1;
        OpId(self.last_op)
    }

    fn append(&mut self, record: Record) {
        self.queue.push(match record {
            // As it will be read again: sealed, hence marked.
            Record::Output(name, Some(output)) if output.sensitive => {
                let value = output.value.mark(Marks::SENSITIVE);
                Record::Output(name, Some(OutputValue { value, sensitive: true }))
            }
            other => other,
        });
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.queue.is_empty() {
            return Ok(());
        }
        let queue = std::mem::take(&mut self.queue);
        if let Some(error) = &self.poisoned {
            return Err(error.clone());
        }
        let done = match self.mode {
            Mode::Write => self.write_group(&queue),
            Mode::ReadOnly => {
                let message =
                    format!("the state in {} is open for reading only", self.place.folder().display());
                Err(StoreError { message, help: None })
            }
        };
        if let Err(error) = done {
            self.poisoned = Some(error.clone());
            return Err(error);
        }
        self.wrote = true;
        queue.iter().for_each(|record| self.folded.apply(record));
        Ok(())
    }
}

impl Drop for LocalStore {
    /// A store that nobody closed folds its journal all the same. If that fails, the state is as good as before.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(self.finish());
        }
    }
}

impl Files {
    /// Opens the files of a recovered state: what is torn is set aside, what was taken is made durable and
    /// acknowledged, a compaction that was cut off is completed. Writes nothing if all is well.
    fn settle(
        place: &Place,
        recovered: &Recovered,
        torn: Option<&[u8]>,
    ) -> std::io::Result<(Files, Option<PathBuf>)> {
        let mut start = recovered.journal_start as u64;
        let mut end = recovered.journal_end as u64;
        if recovered.stale {
            let bytes =
                preface::write(preface::JOURNAL, &recovered.preface).map_err(std::io::Error::other)?;
            disk::replace(&place.journal(), &bytes)?;
            (start, end) = (bytes.len() as u64, bytes.len() as u64);
        }
        let mut journal = DiskFile::open(&place.journal())?;
        let mut head = DiskFile::open(&place.head())?;
        let mut aside = None;
        if let Some(torn) = torn {
            let path = place.torn(recovered.last.sequence + 1, torn)?;
            disk::replace(&path, torn)?;
            journal.cut(end)?;
            aside = Some(path);
        }
        let mut head_slot = recovered.head.slot;
        if recovered.head.head != recovered.last {
            journal.sync()?;
            head_slot = head::advance(&mut head, head_slot, &recovered.last)?;
        }
        let snapshot_len = std::fs::metadata(place.snapshot()).map_or(0, |m| m.len());
        let files = Files { journal, head, journal_start: start, journal_end: end, head_slot, snapshot_len };
        Ok((files, aside))
    }
}

/// How often a reader that holds no lock looks again when a writer folds the journal under its eyes.
const READS_MAX: usize = 5;

type ReadImage = (Option<Recovered>, Vec<Lost>, Option<Vec<u8>>);

/// Reads and recovers; returns what is torn, too.
fn read_image(place: &Place, keys: &Keys, mode: Mode) -> Result<ReadImage, OpenError> {
    let tries = if mode == Mode::Write { 1 } else { READS_MAX };
    let mut tried = 1;
    loop {
        // The head first: a writer only adds to what it acknowledges.
        let read = |path: PathBuf| disk::read(&path).map_err(|e| OpenError::io("read", &path, &e));
        let (head, snapshot, journal) =
            (read(place.head())?, read(place.snapshot())?, read(place.journal())?);
        let image =
            Image { head: head.as_deref(), snapshot: snapshot.as_deref(), journal: journal.as_deref() };
        let mut reader = Reader::new(keys);
        match recover(image, &mut reader) {
            Ok(recovered) => {
                let end = recovered.as_ref().filter(|r| !r.stale).map(|r| r.journal_end);
                let torn = end.and_then(|end| journal.as_ref()?.get(end..)).filter(|rest| !rest.is_empty());
                let torn = torn.map(<[u8]>::to_vec);
                return Ok((recovered, reader.lost, torn));
            }
            Err(damage) if tried >= tries => return Err(OpenError::damage(place, &damage)),
            Err(_) => tried += 1,
        }
    }
}

fn take_lock(
    place: &Place,
    owner: &Owner,
    patience: &Patience<'_>,
) -> Result<(Lock, Option<Owner>), OpenError> {
    lock::take(&place.lock(), owner, patience).map_err(|error| match error {
        LockError::Held(holder) => OpenError::held(place, holder.as_ref()),
        LockError::Io(error) => OpenError::io("locked", &place.lock(), &error),
    })
}

/// Recipes that no object, no open operation and no recipe in use names.
fn drop_unused_recipes(state: &mut State) {
    let mut used: std::collections::BTreeSet<_> = state.objects.values().map(|o| o.recipe.clone()).collect();
    used.extend(state.open.values().map(|o| o.begin.recipe.clone()));
    let mut waiting: Vec<_> = used.iter().cloned().collect();
    while let Some(id) = waiting.pop() {
        let minters = state.recipes.get(&id).into_iter().flat_map(|r| r.minters.values());
        let new: Vec<_> = minters.filter(|id| !used.contains(id)).cloned().collect();
        used.extend(new.iter().cloned());
        waiting.extend(new);
    }
    state.recipes.retain(|id, _| used.contains(id));
}

fn form_error(error: &FormError) -> StoreError {
    StoreError {
        message: format!("a step can't be recorded: {error}"),
        help: matches!(error, FormError::Seal(_))
            .then(|| "sensitive values are always sealed: make the key file readable and writable".into()),
    }
}

fn disk_error(verb: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError {
        message: format!("{} can't be {verb}: {error}", path.display()),
        help: Some(
            "free the disk or make it writable, then run the command again: what was acknowledged is kept, and \
             what was going on is found again"
                .into(),
        ),
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> StoreError {
        StoreError { message: error.message, help: error.help }
    }
}
