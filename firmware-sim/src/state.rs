//! State: what the module remembers between two calls.
//!
//! Every change to a slot goes through [`State::change`]: under the folder's lock, on the newest version, written before it
//! counts. What other processes wrote is seen at the calls that refresh; signing is not one of them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use cryptoki_sys::CK_OBJECT_HANDLE;

use crate::attributes::Object;
use crate::failure::Failure;
use crate::limits::{MAX_SESSION_OBJECTS, MAX_TOKEN_OBJECTS};
use crate::objects::Place;
use crate::sessions::{Login, Session, SessionHandle};
use crate::slots::SlotNumber;
use crate::store::{SlotRecord, Stamp, Store};

/// A caller's name for an object: good until logout for a private object, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectHandle(pub(crate) CK_OBJECT_HANDLE);

/// Where an object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Location {
    Token(SlotNumber, u64),
    Session(SessionHandle, u64),
}

impl Location {
    pub(crate) const fn in_token(self) -> bool {
        matches!(self, Self::Token(..))
    }
}

/// An initialised slot.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) record: SlotRecord,
    pub(crate) login: Login,
    stamp: Stamp,
}

/// Everything behind the module's mutex.
#[derive(Debug, Default)]
pub(crate) struct State {
    store: Option<Store>,
    slots: BTreeMap<SlotNumber, Slot>,
    pub(crate) sessions: BTreeMap<SessionHandle, Session>,
    session_objects: BTreeMap<Location, Object>,
    handles: BTreeMap<ObjectHandle, Location>,
    counter: u64,
}

impl State {
    /// The state in `folder`, which exists; without one there is no slot.
    pub(crate) fn open(folder: Option<PathBuf>) -> Result<Self, Failure> {
        let mut state = Self { store: folder.map(Store::new), ..Self::default() };
        state.refresh_all()?;
        Ok(state)
    }

    /// Sees what other processes did to any slot.
    pub(crate) fn refresh_all(&mut self) -> Result<(), Failure> {
        Store::numbers().try_for_each(|number| self.refresh(number))
    }

    /// Sees what other processes did to one slot. One that is gone or was initialised anew takes its sessions with it.
    pub(crate) fn refresh(&mut self, number: SlotNumber) -> Result<(), Failure> {
        let Some(store) = &self.store else { return Ok(()) };
        let known = self.slots.get(&number).map(|slot| slot.stamp);
        if self.failing(store.stamp(number))? == known {
            return Ok(());
        }
        match self.failing(store.read(number))? {
            None => self.forget(number),
            Some((record, stamp)) => match self.slots.get_mut(&number) {
                Some(slot) if slot.record.serial == record.serial => {
                    slot.record = record;
                    slot.stamp = stamp;
                }
                _ => {
                    self.forget(number);
                    self.slots.insert(number, Slot { record, login: Login::Public, stamp });
                }
            },
        }
        Ok(())
    }

    fn forget(&mut self, number: SlotNumber) {
        self.slots.remove(&number);
        self.close_all_sessions(number);
        self.handles.retain(|_, location| !matches!(location, Location::Token(slot, _) if *slot == number));
    }

    /// Changes a slot's record: `edit` sees the newest version, and what it leaves is on disk before it counts.
    pub(crate) fn change<T>(
        &mut self,
        number: SlotNumber,
        edit: impl FnOnce(&mut SlotRecord) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let store = self.store.as_ref().ok_or(Failure::SlotIdInvalid)?;
        let _turn = self.failing(store.lock())?;
        self.refresh(number)?;
        let mut record = self.slot(number)?.record.clone();
        let made = edit(&mut record)?;
        self.write(number, record)?;
        Ok(made)
    }

    /// Initialises a slot, free or not, for which `make` gives a record from the one there is.
    pub(crate) fn replace(
        &mut self,
        number: SlotNumber,
        make: impl FnOnce(Option<&mut SlotRecord>) -> Result<SlotRecord, Failure>,
    ) -> Result<(), Failure> {
        let store = self.store.as_ref().ok_or(Failure::SlotIdInvalid)?;
        let _turn = self.failing(store.lock())?;
        self.refresh(number)?;
        let mut old = self.slots.get(&number).map(|slot| slot.record.clone());
        let made = make(old.as_mut());
        match (made, old) {
            (Ok(record), _) => {
                self.forget(number);
                self.write(number, record)
            }
            // A wrong SO PIN was counted in the old record.
            (Err(failure), Some(old)) => self.write(number, old).and(Err(failure)),
            (Err(failure), None) => Err(failure),
        }
    }

    fn write(&mut self, number: SlotNumber, record: SlotRecord) -> Result<(), Failure> {
        let store = self.store.as_ref().ok_or(Failure::SlotIdInvalid)?;
        let stamp = self.failing(store.write(number, &record))?;
        let login = self.slots.get(&number).map_or(Login::Public, |slot| slot.login);
        self.slots.insert(number, Slot { record, login, stamp });
        Ok(())
    }

    /// Says on standard error what the C ABI has no room for.
    fn failing<T>(&self, result: io::Result<T>) -> Result<T, Failure> {
        result.map_err(|error| {
            let folder = self.store.as_ref().map(|store| store.folder().display().to_string());
            eprintln!("firmware-sim: storage in `{}`: {error}", folder.unwrap_or_default());
            Failure::DeviceError
        })
    }

    /// The slots that are initialised.
    pub(crate) fn initialised(&self) -> impl Iterator<Item = SlotNumber> {
        self.slots.keys().copied()
    }

    /// The slot that waits to be initialised: the lowest free number.
    pub(crate) fn free_slot(&self) -> Option<SlotNumber> {
        self.store.as_ref()?;
        Store::numbers().find(|number| !self.slots.contains_key(number))
    }

    /// An initialised slot.
    pub(crate) fn slot(&self, number: SlotNumber) -> Result<&Slot, Failure> {
        self.slots.get(&number).ok_or_else(|| match self.free_slot() {
            Some(free) if free == number => Failure::TokenNotRecognized,
            _ => Failure::SlotIdInvalid,
        })
    }

    /// An initialised slot, to log in or out.
    pub(crate) fn slot_mut(&mut self, number: SlotNumber) -> Result<&mut Slot, Failure> {
        let missing = self.slot(number).err().unwrap_or(Failure::SlotIdInvalid);
        self.slots.get_mut(&number).ok_or(missing)
    }

    /// A number that was not given before in this process; never zero, which PKCS#11 keeps for "no handle".
    pub(crate) fn next(&mut self) -> Result<u64, Failure> {
        self.counter = self.counter.checked_add(1).ok_or(Failure::DeviceMemory)?;
        Ok(self.counter)
    }

    /// The handle of what lies at `location`, the same one as long as it is good.
    pub(crate) fn handle(&mut self, location: Location) -> Result<ObjectHandle, Failure> {
        if let Some((&handle, _)) = self.handles.iter().find(|(_, known)| **known == location) {
            return Ok(handle);
        }
        let handle = ObjectHandle(self.next()?);
        self.handles.insert(handle, location);
        Ok(handle)
    }

    /// An object that `session` may see, and where it lies.
    pub(crate) fn object(
        &self,
        session: SessionHandle,
        handle: ObjectHandle,
    ) -> Result<(&Object, Location), Failure> {
        let session = self.session(session)?;
        let location = *self.handles.get(&handle).ok_or(Failure::ObjectHandleInvalid)?;
        let object = self.at(session.slot, location).ok_or(Failure::ObjectHandleInvalid)?;
        if object.private && self.slot(session.slot)?.login != Login::User {
            return Err(Failure::ObjectHandleInvalid);
        }
        Ok((object, location))
    }

    fn at(&self, slot: SlotNumber, location: Location) -> Option<&Object> {
        match location {
            Location::Token(number, object) if number == slot => {
                self.slots.get(&slot)?.record.objects.get(&object)
            }
            Location::Session(owner, _) if self.sessions.get(&owner)?.slot == slot => {
                self.session_objects.get(&location)
            }
            Location::Token(..) | Location::Session(..) => None,
        }
    }

    /// Everything that `session` may see.
    pub(crate) fn visible(&self, session: SessionHandle) -> Result<Vec<(Location, &Object)>, Failure> {
        let number = self.session(session)?.slot;
        let slot = self.slot(number)?;
        let stored =
            slot.record.objects.iter().map(|(&object, found)| (Location::Token(number, object), found));
        let loose = self.session_objects.iter().filter_map(|(&at, _)| Some((at, self.at(number, at)?)));
        let may_see = |object: &Object| !object.private || slot.login == Login::User;
        Ok(stored.chain(loose).filter(|(_, object)| may_see(object)).collect())
    }

    /// Adds objects, all or none, and gives their handles.
    pub(crate) fn add_objects(
        &mut self,
        session: SessionHandle,
        objects: Vec<(Object, Place)>,
    ) -> Result<Vec<ObjectHandle>, Failure> {
        let number = self.session(session)?.slot;
        for (object, place) in &objects {
            self.may_write(session, object.private, *place == Place::Token)?;
        }
        let (stored, loose): (Vec<_>, Vec<_>) =
            objects.into_iter().enumerate().partition(|(_, (_, p))| *p == Place::Token);
        if self.session_objects.len().saturating_add(loose.len()) > MAX_SESSION_OBJECTS {
            return Err(Failure::DeviceMemory);
        }
        let mut locations = self.add_stored(number, stored)?;
        for (order, (object, _)) in loose {
            let location = Location::Session(session, self.next()?);
            self.session_objects.insert(location, object);
            locations.push((order, location));
        }
        locations.sort_unstable();
        locations.into_iter().map(|(_, location)| self.handle(location)).collect()
    }

    fn add_stored(
        &mut self,
        number: SlotNumber,
        objects: Vec<(usize, (Object, Place))>,
    ) -> Result<Vec<(usize, Location)>, Failure> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        self.change(number, |record| {
            if record.objects.len().saturating_add(objects.len()) > MAX_TOKEN_OBJECTS {
                return Err(Failure::DeviceMemory);
            }
            let added = objects.into_iter().map(|(order, (object, _))| {
                let at = record.next_object;
                record.next_object = at.checked_add(1).ok_or(Failure::DeviceMemory)?;
                record.objects.insert(at, object);
                Ok((order, Location::Token(number, at)))
            });
            added.collect()
        })
    }

    /// Replaces the object at `location`, or removes it.
    pub(crate) fn put(&mut self, location: Location, object: Option<Object>) -> Result<(), Failure> {
        let removed = object.is_none();
        match (location, object) {
            (Location::Token(slot, number), Some(object)) => {
                self.change(slot, |record| {
                    let there = record.objects.get_mut(&number).ok_or(Failure::ObjectHandleInvalid)?;
                    *there = object;
                    Ok(())
                })?;
            }
            (Location::Token(slot, number), None) => {
                self.change(slot, |record| {
                    record.objects.remove(&number).map(drop).ok_or(Failure::ObjectHandleInvalid)
                })?;
            }
            (Location::Session(..), Some(object)) => drop(self.session_objects.insert(location, object)),
            (Location::Session(..), None) => drop(self.session_objects.remove(&location)),
        }
        if removed {
            self.handles.retain(|_, known| *known != location);
        }
        Ok(())
    }

    /// Drops the session objects and handles that `gone` names.
    pub(crate) fn drop_objects(&mut self, gone: impl Fn(Location, &Object) -> bool) {
        self.session_objects.retain(|&location, object| !gone(location, object));
        let handles = std::mem::take(&mut self.handles);
        let kept = handles.into_iter().filter(|&(_, location)| match location {
            Location::Session(..) => self.session_objects.contains_key(&location),
            Location::Token(slot, number) => {
                let object = self.slots.get(&slot).and_then(|slot| slot.record.objects.get(&number));
                object.is_some_and(|object| !gone(location, object))
            }
        });
        self.handles = kept.collect();
    }
}
