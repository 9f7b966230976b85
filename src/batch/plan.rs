//! Which inputs there are, and what tells each from itself at another time.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::capture::{CaptureError, Input, Ring, expand_usable, rings};
use crate::fmt::hex;
use crate::output::escape::escape;

/// Bytes of a file's beginning and end that are looked at.
const SAMPLE: u64 = 4096;

/// A path, absolute, as text that no other path has: one that is no UTF-8 has escapes.
pub(super) fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_str().map_or_else(|| escape(path.as_os_str().as_encoded_bytes()).into_owned(), str::to_owned)
}

/// An input: a capture, or the files of a ring, which are one.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// What tells it from other inputs: its path, absolute; of a ring, what its files' paths have in common.
    pub(super) key: String,
    pub(super) inputs: Vec<Input>,
    /// Its files, absolute.
    pub(super) files: Vec<String>,
    /// Bytes of all files, as stored.
    pub(super) bytes: u64,
    /// As the user named it.
    pub(super) name: String,
}

/// Inputs that are read one after the other, at most: what a run that is ended has to do once more stays small.
const BUNDLED: usize = 4096;

/// The inputs below some paths, but for what lies in the dataset's own folder. Small ones that stand side by side are
/// read one after the other into the same parts, up to `bundle` bytes. The largest come first, so that none is left
/// alone at the end.
///
/// With `separate` every file is an input, of a ring, too.
///
/// With the paths that give none, where others do.
pub(super) fn plan(
    paths: &[PathBuf],
    out: &Path,
    bundle: u64,
    separate: bool,
) -> Result<(Vec<Vec<Job>>, Vec<CaptureError>), CaptureError> {
    let (inputs, missing) = expand_usable(paths)?;
    let own = out.canonicalize().ok();
    let foreign = |input: &Input| match input {
        Input::File(path) | Input::Found(path) => own.as_ref().is_none_or(|own| {
            let path = path.canonicalize();
            path.is_ok_and(|path| !path.starts_with(own))
        }),
        Input::Stdin => false,
    };
    let found = inputs.len();
    let inputs: Vec<Input> = inputs.into_iter().filter(foreign).collect();
    if inputs.is_empty() && found > 0 {
        return Err(CaptureError {
            file: out.display().to_string(),
            what: "everything to be read is in the dataset's own folder, which is left out".to_owned(),
            hint: "choose another folder for the dataset; it may be inside that of the captures".to_owned(),
        });
    }
    let rings = if separate { inputs.chunks(1).flat_map(rings).collect() } else { rings(&inputs) };
    let mut jobs: Vec<Job> = rings.into_iter().map(job).collect();
    jobs.sort_by(|a, b| a.key.cmp(&b.key));
    let mut bundles = bundles(jobs, bundle);
    bundles.sort_by_key(|jobs| std::cmp::Reverse(jobs.iter().map(|job| job.bytes).sum::<u64>()));
    Ok((bundles, missing))
}

/// Neighbours are of one day more often than others. A large one between them does not part them.
fn bundles(jobs: Vec<Job>, most: u64) -> Vec<Vec<Job>> {
    let (mut all, mut open, mut bytes) = (Vec::new(), Vec::new(), 0);
    for job in jobs {
        if job.bytes >= most {
            all.push(vec![job]);
            continue;
        }
        if bytes + job.bytes > most || open.len() >= BUNDLED {
            all.push(std::mem::take(&mut open));
            bytes = 0;
        }
        bytes += job.bytes;
        open.push(job);
    }
    all.push(open);
    all.retain(|jobs| !jobs.is_empty());
    all
}

fn job(ring: Ring) -> Job {
    Job {
        key: absolute(&ring.name),
        name: ring.name.display().to_string(),
        files: ring.files.iter().map(|f| absolute(f)).collect(),
        bytes: ring.files.iter().filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum(),
        inputs: ring.files.into_iter().map(Input::Found).collect(),
    }
}

impl Job {
    /// SHA-256 over each file's name, size, time of change, beginning and end.
    pub(super) fn fingerprint(&self) -> io::Result<String> {
        let mut digest = Sha256::new();
        for (name, input) in self.files.iter().zip(&self.inputs) {
            let (Input::File(path) | Input::Found(path)) = input else { continue };
            digest.update((name.len() as u64).to_le_bytes());
            digest.update(name);
            let mut file = File::open(path)?;
            let meta = file.metadata()?;
            digest.update(meta.len().to_le_bytes());
            let changed = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            digest.update(changed.map_or(0, |t| t.as_nanos()).to_le_bytes());
            let mut sample = Vec::new();
            (&mut file).take(SAMPLE).read_to_end(&mut sample)?;
            if meta.len() > SAMPLE {
                file.seek(SeekFrom::Start(meta.len().saturating_sub(SAMPLE)))?;
                (&mut file).take(SAMPLE).read_to_end(&mut sample)?;
            }
            digest.update(&sample);
        }
        Ok(hex(&digest.finalize()))
    }
}

/// The first digits of a digest: enough to tell the inputs of one dataset apart.
pub(super) fn short(text: &str, digits: usize) -> String {
    let mut digest = hex(&Sha256::digest(text));
    digest.truncate(digits);
    digest
}

/// Whether a folder is there and holds something.
pub(super) fn holds_something(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(jobs: &[u64], most: u64) -> Vec<Vec<u64>> {
        let job =
            |bytes: &u64| Job { key: String::new(), inputs: vec![], files: vec![], bytes: *bytes, name: String::new() };
        let all = bundles(jobs.iter().map(job).collect(), most);
        all.iter().map(|jobs| jobs.iter().map(|job| job.bytes).collect()).collect()
    }

    #[test]
    fn small_inputs_are_read_one_after_the_other() {
        assert_eq!(sizes(&[1, 2, 30, 3, 5, 4], 10), [vec![30], vec![1, 2, 3], vec![5, 4]]);
        assert_eq!(sizes(&[10, 9, 1, 1], 10), [vec![10], vec![9, 1], vec![1]]);
        assert_eq!(sizes(&[0, 3, 1], 0), [[0], [3], [1]], "each for itself");
        assert_eq!(sizes(&[0; 5000], 10).iter().map(Vec::len).collect::<Vec<_>>(), [BUNDLED, 5000 - BUNDLED]);
        assert!(sizes(&[], 10).is_empty());
    }
}
