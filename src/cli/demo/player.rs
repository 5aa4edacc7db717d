//! Plays the day, event by event, and measures.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::idp::{Provider, Result};
use super::screen::{Line, Screen};
use super::script::{Does, Event, Idp, Person, Script};
use super::watch::{Seen, Watch, changed, outcome};
use crate::cli::Outcome;

/// The providers at work, and what they have done so far.
pub(super) struct Player<'a> {
    pub(super) providers: BTreeMap<Idp, Box<dyn Provider>>,
    pub(super) watch: Watch,
    pub(super) screen: &'a mut Screen,
    people: IndexMap<String, Person>,
    /// The ids that the service gave.
    ids: IndexMap<String, String>,
    took: Vec<Duration>,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        providers: BTreeMap<Idp, Box<dyn Provider>>,
        watch: Watch,
        screen: &'a mut Screen,
        script: &Script,
    ) -> Self {
        Self { providers, watch, screen, people: script.people.clone(), ids: IndexMap::new(), took: Vec::new() }
    }

    /// From accepted push to worker in step, for each event that led to one.
    pub(super) fn took(&self) -> &[Duration] {
        &self.took
    }

    pub(super) fn id(&self, person: &str) -> Option<(Idp, &str)> {
        Some((self.people.get(person)?.idp, self.ids.get(person)?.as_str()))
    }

    pub(super) async fn play(&mut self, day: &[Event]) -> Outcome {
        let mut headed = false;
        for event in day {
            if let Some(chapter) = &event.chapter {
                self.screen.heading(chapter)?;
                if !headed {
                    self.screen.event_headings()?;
                    headed = true;
                }
            }
            self.event(event).await?;
        }
        Ok(())
    }

    async fn event(&mut self, event: &Event) -> Outcome {
        match &event.does {
            Does::Probe => {
                self.provider(event.idp)?.probe().await?;
                self.tell(event, "tests the connection", "answered", None)
            }
            Does::PushGroups { groups } => {
                for group in groups {
                    let matched = self.provider(event.idp)?.push_group(group).await?;
                    let outcome = if matched { "group found" } else { "group made" };
                    self.tell(event, &format!("pushes the group {group}"), outcome, None)?;
                }
                Ok(())
            }
            Does::Join { people } => {
                for person in people {
                    self.join(event, person).await?;
                }
                Ok(())
            }
            Does::Return { person, say } => {
                let before = self.assign(person).await?;
                self.settle(event, person, say, before).await
            }
            Does::Leave { person, say, message } => {
                let before = self.seen(person).await?;
                let (who, id) = self.person(person)?;
                self.provider(event.idp)?.update(message, &who, &id, false).await?;
                self.settle(event, person, say, before).await
            }
            Does::Change { .. } => self.change(event).await,
        }
    }

    async fn join(&mut self, event: &Event, person: &str) -> Outcome {
        let before = self.assign(person).await?;
        let (who, id) = self.person(person)?;
        for group in &who.groups {
            self.provider(event.idp)?.add_to_group(group, &who, &id).await?;
        }
        let say = format!("{} joins {}", who.name(), who.groups.join(", "));
        self.settle(event, person, &say, before).await
    }

    async fn change(&mut self, event: &Event) -> Outcome {
        let Does::Change { person, say, message, set, join, leave } = &event.does else { return Ok(()) };
        let before = self.seen(person).await?;
        let known = self.people.get_mut(person).ok_or_else(|| stranger(person))?;
        known.profile.extend(set.clone());
        let (who, id) = self.person(person)?;
        let provider = self.provider(event.idp)?;
        provider.update(message, &who, &id, true).await?;
        for group in join {
            provider.add_to_group(group, &who, &id).await?;
        }
        for group in leave {
            provider.remove_from_group(group, &who, &id).await?;
        }
        self.settle(event, person, say, before).await
    }

    /// Waits until the worker is in step, and tells what became of it.
    async fn settle(&mut self, event: &Event, person: &str, say: &str, before: Option<Seen>) -> Outcome {
        let (_, id) = self.person(person)?;
        let after = self.watch.in_step(event.idp, &id).await?;
        let took = self.provider(event.idp)?.link().accepted_at().elapsed();
        let took = changed(before.as_ref(), &after).then_some(took);
        self.took.extend(took);
        self.tell(event, say, &outcome(before.as_ref(), &after), took)
    }

    fn tell(&mut self, event: &Event, what: &str, outcome: &str, took: Option<Duration>) -> Outcome {
        Ok(self.screen.event(&Line { at: &event.at, from: event.idp.title(), what, outcome, took })?)
    }

    /// Makes the person, or writes what the provider knows onto the one that is there: then that is how it was before.
    async fn assign(&mut self, person: &str) -> Result<Option<Seen>> {
        let who = self.people.get(person).cloned().ok_or_else(|| stranger(person))?;
        let (id, before) = match self.provider(who.idp)?.find(&who).await? {
            Some(id) => {
                let before = self.watch.look(who.idp, &id).await?;
                self.provider(who.idp)?.update("update-user", &who, &id, true).await?;
                (id, Some(before))
            }
            None => (self.provider(who.idp)?.create(&who).await?, None),
        };
        self.ids.insert(person.to_owned(), id);
        Ok(before)
    }

    async fn seen(&self, person: &str) -> Result<Option<Seen>> {
        match self.id(person) {
            Some((idp, id)) => Ok(Some(self.watch.look(idp, id).await?)),
            None => Ok(None),
        }
    }

    fn person(&self, person: &str) -> Result<(Person, String)> {
        let who = self.people.get(person).cloned().ok_or_else(|| stranger(person))?;
        let id = self.ids.get(person).cloned().ok_or_else(|| format!("{} has not joined yet", who.name()))?;
        Ok((who, id))
    }

    fn provider(&mut self, idp: Idp) -> Result<&mut Box<dyn Provider>> {
        Ok(self.providers.get_mut(&idp).ok_or_else(|| format!("{} is not connected", idp.title()))?)
    }
}

fn stranger(person: &str) -> String {
    format!("the script knows no person '{person}'")
}
