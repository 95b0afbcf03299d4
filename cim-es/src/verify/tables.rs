//! What an engine keeps beside the events, compared with what the events themselves make up.

use std::sync::Arc;

use cid::Cid;
use futures_util::StreamExt;

use super::judge::{Judged, Proof, judge};
use super::progress::Stage;
use super::run::Run;
use crate::block::{Position, ShortCid};
use crate::domain::aggregate::IdText;
use crate::store::raw::{HeadRow, ListRow, Name, RawEvents, RawItem, RawPage, SoundPart};
use crate::store::{AggregateKey, Damage, StoreError};

/// The CID beside the block at a position.
pub(super) fn cid_at(page: &RawPage, wanted: Position) -> Option<Cid> {
    page.items.iter().find_map(|item| match item {
        RawItem::Block(block) if block.position == wanted => {
            block.cid.as_ref().ok().map(ShortCid::cid)
        }
        _ => None,
    })
}

/// Compares some of the rows of the ends of histories; behind the last, says which ones are missing.
pub(super) async fn aggregates(
    run: &mut Run,
    raw: &Arc<dyn RawEvents>,
) -> Result<Vec<Damage>, StoreError> {
    let page = raw.heads(run.state.head_key).await?;
    if let Some(damage) = page.damage {
        run.state.stage = Stage::Types;
        return Ok(vec![damage]);
    }
    if !page.rows.is_empty() {
        let end = raw.end().await?;
        run.state.head_key = page.last_key;
        run.state.counts.others += page.rows.len() as u64;
        let compared = page.rows.into_iter().map(|row| compare_head(run, row, end));
        return Ok(compared.flatten().collect());
    }
    // An engine that keeps no ends of histories lacks none.
    if run.state.head_key.is_none() && run.state.lists.is_empty() {
        run.state.stage = Stage::Types;
        return Ok(Vec::new());
    }
    let Some((name, position)) = run.state.chains.heads.not_compared().first().copied() else {
        run.state.stage = Stage::Types;
        return Ok(Vec::new());
    };
    let key = aggregate_at(run, raw, position).await?;
    if let Some(known) = run.state.chains.heads.get_mut(&name) {
        known.is_compared = true;
    }
    let named = key.as_ref().map_or_else(
        || "an aggregate".to_owned(),
        |aggregate| aggregate.to_string(),
    );
    let reason = format!("{named} has its last event here, and no row in the table of aggregates");
    let damage = Damage::new(run.location.clone(), position, None, reason);
    Ok(vec![match key {
        Some(key) => damage.in_history_of(&key),
        None => damage,
    }])
}

/// The aggregate of the event at a position.
async fn aggregate_at(
    run: &Run,
    raw: &Arc<dyn RawEvents>,
    position: Position,
) -> Result<Option<AggregateKey>, StoreError> {
    let before = Position(position.0.saturating_sub(1));
    let mut pages = Arc::clone(raw).pages(before, position);
    let Some(page) = pages.next().await.transpose()? else {
        return Ok(None);
    };
    let judged = judge(page, &run.location);
    Ok(judged.items.iter().find_map(|judged| match judged {
        Judged::Block(block) => match &block.proof {
            Proof::Envelope(event) => Some(event.aggregate_key()),
            Proof::Nothing(_) => None,
        },
        Judged::Unreadable { .. } => None,
    }))
}

fn compare_head(run: &mut Run, row: HeadRow, end: Position) -> Option<Damage> {
    let key = AggregateKey::new(row.kind.clone(), IdText::trusted(&row.id));
    let damage = |reason: String| {
        let damage = Damage::new(
            run.location.clone(),
            Position(row.position),
            row.cid,
            reason,
        );
        Some(damage.in_history_of(&key))
    };
    let name = Name::of(&row.kind, &row.id);
    let known = run.state.chains.heads.get_mut(&name);
    let known = known.map(|known| {
        known.is_compared = true;
        *known
    });
    if let Some(wrong) = row.wrong {
        return damage(wrong);
    }
    if row.position > end.0 {
        return damage(format!(
            "the row of the aggregate leads behind the last event, at {end}"
        ));
    }
    // It was written after the events were looked at.
    let is_newer = row.position > run.until.0;
    let follows_damage = run.state.noted.has_cid(row.cid.as_ref());
    let Some(known) = known else {
        return match is_newer || follows_damage {
            true => None,
            false => damage("the row of the aggregate leads to no event of it".to_owned()),
        };
    };
    let fits = row.version == known.version
        && row.position == known.position.0
        && row.timestamp == known.timestamp
        && row.cid == Some(known.cid());
    if fits || is_newer || (follows_damage && row.version == known.version + 1) {
        return None;
    }
    damage(format!(
        "the row of the aggregate says version {} at position {}, its last event is version {} at position {}, {}",
        row.version,
        row.position,
        known.version,
        known.position,
        known.cid(),
    ))
}

/// Compares the rows of the lists of events.
pub(super) async fn types(run: &mut Run, raw: &dyn RawEvents) -> Result<Vec<Damage>, StoreError> {
    let rows = raw.lists().await?;
    let end = raw.end().await?;
    run.state.stage = Stage::Beside;
    run.state.counts.others += rows.len() as u64;
    let mut damages = Vec::new();
    for row in &rows {
        damages.extend(compare_list(run, row, end).map(|reason| {
            let position = Position(row.last);
            Damage::new(run.location.clone(), position, None, reason)
        }));
    }
    let has_row = |list: u64| rows.iter().any(|row| row.list == list);
    let missing = run.state.lists.iter().filter(|list| !has_row(list.list));
    damages.extend(missing.map(|list| {
        let reason = format!("event type {} has no row in the table of types", list.list);
        Damage::new(run.location.clone(), Position(list.last), None, reason)
    }));
    Ok(damages)
}

fn compare_list(run: &Run, row: &ListRow, end: Position) -> Option<String> {
    let name = &row.event_type;
    if let Some(wrong) = &row.wrong {
        return Some(wrong.clone());
    }
    if row.last > end.0 {
        return Some(format!(
            "the row of event type `{name}` leads behind the last event, at {end}"
        ));
    }
    let is_newer = row.last > run.until.0;
    let Some(known) = run.state.lists.iter().find(|list| list.list == row.list) else {
        return (!is_newer)
            .then(|| format!("the row of event type `{name}` leads to no event of it"));
    };
    if let Some((kind, event_type)) = &known.named
        && (event_type != name || row.kind.as_ref().is_some_and(|it| it != kind))
    {
        return Some(format!(
            "the row of event type {} says `{name}`, its events are `{event_type}` of {kind}",
            row.list
        ));
    }
    let is_lost = row.last != known.last && !is_newer && !run.state.noted.has_position(row.last);
    is_lost.then(|| {
        format!(
            "the row of event type `{name}` says that its last event is here, that one is at position {}",
            known.last
        )
    })
}

/// Checks some of what else is stored.
pub(super) async fn beside(run: &mut Run, raw: &dyn RawEvents) -> Result<Vec<Damage>, StoreError> {
    let (at, from) = run.state.part;
    let Some(part) = raw.parts().get(at) else {
        run.state.stage = Stage::Done;
        return Ok(Vec::new());
    };
    let is_here = |sound: &&SoundPart| (sound.part, sound.from) == (at, from);
    if let Some(sound) = run.state.sound.iter().find(is_here).copied() {
        run.state.counts.others += sound.checked;
        run.state.part = (at, sound.next);
        return Ok(Vec::new());
    }
    let page = raw.check_part(part, from).await?;
    run.state.counts.others += page.checked;
    let noted = &run.state.noted;
    let is_new = |damage: &Damage| {
        let position = damage.position();
        !position.is_some_and(|position| noted.has_position(position.0))
    };
    let damages = page.damages.into_iter().filter(is_new).collect();
    run.state.part = match page.next {
        Some(next) => (at, next),
        None => (at + 1, 0),
    };
    Ok(damages)
}
