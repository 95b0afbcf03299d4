//! Links between blocks, kept beside them.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use cid::Cid;

use super::name::{text, token};
use super::objects::JetStreamObjectStore;
use crate::block::parse_cid_text;
use crate::store::{Damage, StoreError};

/// A link from one block to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The block that it leads from.
    pub parent: Cid,
    /// What it means.
    pub link_type: String,
    /// The block that it leads to.
    pub child: Cid,
}

impl JetStreamObjectStore {
    /// Keeps a link between two blocks; keeping it again changes nothing. The blocks need not be there yet.
    ///
    /// # Errors
    /// What keeps the engine from storing it.
    pub async fn link_objects(
        &self,
        parent: &Cid,
        child: &Cid,
        link_type: &str,
    ) -> Result<(), StoreError> {
        let subject = self.filter(&parent.to_string(), &token(link_type), &child.to_string());
        // The subject says it all; a value makes it visible to tools, which take an empty one for a deleted key.
        self.links
            .write(&subject, Bytes::from_static(b"link"), 0)
            .await?;
        Ok(())
    }

    /// The links that lead from a block, in order of their type and child.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a key that is no link, and the engine's failures.
    pub async fn links_from(&self, parent: &Cid) -> Result<Vec<Link>, StoreError> {
        self.listed(&self.filter(&parent.to_string(), "*", "*"))
            .await
    }

    /// The links that lead to a block, in order of their parent and type.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a key that is no link, and the engine's failures.
    pub async fn links_to(&self, child: &Cid) -> Result<Vec<Link>, StoreError> {
        self.listed(&self.filter("*", "*", &child.to_string()))
            .await
    }

    /// Every link that can be reached from a block, of one type or of all, those nearest to the block first. Each block
    /// is visited once, so that circles end.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a key that is no link, and the engine's failures.
    pub async fn traverse(
        &self,
        root: &Cid,
        link_type: Option<&str>,
    ) -> Result<Vec<Link>, StoreError> {
        let wanted = link_type.map_or_else(|| "*".to_owned(), token);
        let mut reached = Vec::new();
        let mut seen = HashSet::from([*root]);
        let mut waiting = VecDeque::from([*root]);
        while let Some(parent) = waiting.pop_front() {
            for link in self
                .listed(&self.filter(&parent.to_string(), &wanted, "*"))
                .await?
            {
                if seen.insert(link.child) {
                    waiting.push_back(link.child);
                }
                reached.push(link);
            }
        }
        Ok(reached)
    }

    fn filter(&self, parent: &str, link_type: &str, child: &str) -> String {
        format!("$KV.{}.{parent}.{link_type}.{child}", self.links.name())
    }

    async fn listed(&self, filter: &str) -> Result<Vec<Link>, StoreError> {
        let subjects = self.links.subjects(filter).await?;
        let links: Result<Vec<_>, _> = subjects.iter().map(|it| self.parse(it)).collect();
        let mut links = links?;
        links.sort();
        Ok(links)
    }

    fn parse(&self, subject: &str) -> Result<Link, StoreError> {
        let link = || {
            let mut tokens = subject.rsplit('.');
            let child = parse_cid_text(tokens.next()?).ok()?;
            let link_type = text(tokens.next()?)?;
            let parent = parse_cid_text(tokens.next()?).ok()?;
            Some(Link {
                parent,
                link_type,
                child,
            })
        };
        link().ok_or_else(|| {
            let reason = format!("the key `{subject}` is no link; delete it");
            Damage::new(self.links.location(), None, None, reason).into()
        })
    }
}
