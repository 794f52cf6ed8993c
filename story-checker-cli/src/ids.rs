//! Ids that may be cut short.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use story_checker_core::queue::{JobFilter, JobQueue, StatsQuery};
use story_checker_core::{BatchId, JobId};

/// The beginning of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    typed: String,
    /// The smallest id that begins so.
    low: u128,
    /// The bits that are known.
    mask: u128,
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|digit| *digit != '-').collect();
        let value = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() <= 32);
        let Some(value) = value.filter(|_| !digits.starts_with('+')) else {
            return Err("an id, or the beginning of one, has hexadecimal digits".to_owned());
        };
        let unknown = 4 * (32 - u32::try_from(digits.len()).unwrap_or(32));
        let mask = u128::MAX.checked_shl(unknown).unwrap_or_default();
        let low = value.checked_shl(unknown).unwrap_or_default();
        Ok(Self { typed: text.to_owned(), low, mask })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

impl Prefix {
    /// The whole id, filled up with zeros.
    pub(crate) const fn low(&self) -> [u8; 16] {
        self.low.to_be_bytes()
    }

    /// The largest id that is smaller; none: there is none.
    fn before(&self) -> Option<[u8; 16]> {
        self.low.checked_sub(1).map(u128::to_be_bytes)
    }

    fn begins(&self, id: [u8; 16]) -> bool {
        u128::from_be_bytes(id) & self.mask == self.low
    }

    fn only<T: fmt::Display>(&self, what: &str, list: &str, found: &[T]) -> anyhow::Result<()> {
        match found {
            [_] => Ok(()),
            [] => bail!(
                "no {what} has an id that begins with {self}; `story-checker {list} list` shows them"
            ),
            [one, other, ..] => {
                bail!("{self} is the beginning of more than one {what}: {one}, {other}")
            }
        }
    }

    /// The one job that begins so.
    pub(crate) async fn job(&self, queue: &dyn JobQueue) -> anyhow::Result<JobId> {
        let after = self.before().map(JobId::from_bytes);
        let page = queue.list(&JobFilter::default(), after, 2).await?;
        let ids = page.jobs.iter().map(|job| job.id);
        let found: Vec<_> = ids.filter(|id| self.begins(*id.as_bytes())).collect();
        self.only("job", "jobs", &found)?;
        Ok(found[0])
    }

    /// The one batch that begins so.
    pub(crate) async fn batch(&self, queue: &dyn JobQueue) -> anyhow::Result<BatchId> {
        let after = self.before().map(BatchId::from_bytes);
        let stats = queue.stats(&StatsQuery::BatchesAfter { after, limit: 2 }).await?;
        let ids = stats.batches.iter().map(|batch| batch.batch);
        let found: Vec<_> = ids.filter(|id| self.begins(*id.as_bytes())).collect();
        self.only("batch", "batch", &found)?;
        Ok(found[0])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use story_checker_core::SystemClock;
    use story_checker_core::queue::{InMemoryJobQueue, NewJob};

    use super::*;

    #[tokio::test]
    async fn a_beginning_names_one_or_says_why_not() {
        let queue = InMemoryJobQueue::new(Arc::new(SystemClock::new()));
        let id = |first, last| {
            let mut bytes = [0; 16];
            (bytes[0], bytes[15]) = (first, last);
            JobId::from_bytes(bytes)
        };
        let ids = [id(0, 0), id(0x1a, 1), id(0x1b, 1), id(0x1b, 2), id(0xff, 0)];
        let jobs = ids.map(|id| {
            let mut job = NewJob::new(id, "q".into(), Default::default());
            job.batch = Some(BatchId::from_bytes(*id.as_bytes()));
            job
        });
        queue.enqueue(jobs.into()).await.unwrap();
        let find = async |text: &str| text.parse::<Prefix>().unwrap().job(&queue).await;
        assert_eq!(find("1a").await.unwrap(), ids[1]);
        assert_eq!(find(&ids[3].to_string()).await.unwrap(), ids[3]);
        assert_eq!(find("00").await.unwrap(), ids[0]);
        assert_eq!(find("F").await.unwrap(), ids[4]);
        assert!(find("1b").await.unwrap_err().to_string().contains("more than one"));
        assert!(
            find("2")
                .await
                .unwrap_err()
                .to_string()
                .starts_with("no job has an id that begins with 2;")
        );
        let batch = "1a".parse::<Prefix>().unwrap().batch(&queue).await.unwrap();
        assert_eq!(batch.as_bytes(), ids[1].as_bytes());
        for text in ["", "-", "xyz", "+1", &"0".repeat(33)] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }
}
