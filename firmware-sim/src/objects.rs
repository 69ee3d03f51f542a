//! Objects: made, found, read, changed, destroyed.
//!
//! A private object does not exist for who is not logged in as the user. Attributes are answered one by one, and one that is
//! refused does not hide the others. (PKCS#11 2.40, section 5.7.)

use cryptoki_sys::*;

use crate::attributes::{Answer, Object};
use crate::failure::Failure;
use crate::general::Module;
use crate::sessions::SessionHandle;
use crate::state::ObjectHandle;
use crate::templates::{Entry, Template};

/// Where an object is to lie: in the slot's file, or in memory as long as its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Token,
    Session,
}

impl Place {
    /// What `CKA_TOKEN` asks for; a session object when it is not given.
    pub(crate) fn of(template: &mut Template) -> Result<Self, Failure> {
        Ok(if template.take_flag(CKA_TOKEN)?.unwrap_or(false) { Self::Token } else { Self::Session })
    }
}

impl Module {
    /// `C_CreateObject`: data objects only.
    pub(crate) fn create_object(
        &self,
        session: SessionHandle,
        mut template: Template,
    ) -> Result<ObjectHandle, Failure> {
        let mut state = self.state()?;
        state.session(session)?;
        let place = Place::of(&mut template)?;
        let object = Object::data(&mut template)?;
        template.finish()?;
        let handles = state.add_objects(session, vec![(object, place)])?;
        handles.first().copied().ok_or(Failure::GeneralError)
    }

    /// `C_DestroyObject`.
    pub(crate) fn destroy_object(&self, session: SessionHandle, handle: ObjectHandle) -> Result<(), Failure> {
        let mut state = self.state()?;
        let (object, location) = state.object(session, handle)?;
        let (private, destroyable) = (object.private, object.destroyable);
        state.may_write(session, private, location.in_token())?;
        if !destroyable {
            return Err(Failure::ActionProhibited);
        }
        state.put(location, None)
    }

    /// `C_GetAttributeValue`: one answer for each of `kinds`, in their order.
    pub(crate) fn attributes(
        &self,
        session: SessionHandle,
        handle: ObjectHandle,
        kinds: &[CK_ATTRIBUTE_TYPE],
    ) -> Result<Vec<Answer>, Failure> {
        let state = self.state()?;
        let (object, location) = state.object(session, handle)?;
        Ok(kinds.iter().map(|&kind| object.answer(kind, location.in_token())).collect())
    }

    /// `C_SetAttributeValue`: all of the changes or none.
    pub(crate) fn set_attributes(
        &self,
        session: SessionHandle,
        handle: ObjectHandle,
        changes: Vec<Entry>,
    ) -> Result<(), Failure> {
        let mut state = self.state()?;
        let (object, location) = state.object(session, handle)?;
        state.may_write(session, object.private, location.in_token())?;
        let mut changed = object.clone();
        changed.change(changes, location.in_token())?;
        state.put(location, Some(changed))
    }

    /// `C_FindObjectsInit`: what matches now is what the search will give.
    pub(crate) fn find_init(&self, session: SessionHandle, template: &[Entry]) -> Result<(), Failure> {
        let mut state = self.state()?;
        if state.session(session)?.find.is_some() {
            return Err(Failure::OperationActive);
        }
        let slot = state.session(session)?.slot;
        state.refresh(slot)?;
        let visible = state.visible(session)?.into_iter();
        let matching = visible.filter(|(location, object)| object.matches(template, location.in_token()));
        let locations: Vec<_> = matching.map(|(location, _)| location).rev().collect();
        let handles =
            locations.into_iter().map(|location| state.handle(location)).collect::<Result<_, _>>()?;
        state.session_mut(session)?.find = Some(handles);
        Ok(())
    }

    /// `C_FindObjects`: the next ones, at most `limit`; none when the search is at its end.
    pub(crate) fn find(&self, session: SessionHandle, limit: usize) -> Result<Vec<ObjectHandle>, Failure> {
        let mut state = self.state()?;
        let found = state.session_mut(session)?.find.as_mut().ok_or(Failure::OperationNotInitialized)?;
        let rest = found.len().saturating_sub(limit);
        Ok(found.drain(rest..).rev().collect())
    }

    /// `C_FindObjectsFinal`.
    pub(crate) fn find_final(&self, session: SessionHandle) -> Result<(), Failure> {
        let mut state = self.state()?;
        let found = state.session_mut(session)?.find.take();
        found.map(drop).ok_or(Failure::OperationNotInitialized)
    }
}
