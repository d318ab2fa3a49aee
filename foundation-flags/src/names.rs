//! Names that are near to one that nobody knows.

/// The nearest of the known names, if one is near enough to have been meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = |other: &str| strsim::osa_distance(name, other);
    let nearest = known.into_iter().min_by_key(|other| far(other))?;
    (far(nearest) <= name.chars().count() / 3).then_some(nearest)
}
