//! Where somebody can be reached.

use std::{any::Any, fmt, sync::Arc};

/// Where an owner can be reached: a value of any type, found again by that type.
#[derive(Clone)]
pub struct Address {
    value: Arc<dyn Any + Send + Sync>,
    type_name: &'static str,
}

impl Address {
    /// The address that is this value: a queue, a handle.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        Self { value: Arc::new(value), type_name: std::any::type_name::<T>() }
    }

    /// The value, if it is of this type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.value).downcast().ok()
    }

    /// The name of its type, for people.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.type_name)
    }
}
