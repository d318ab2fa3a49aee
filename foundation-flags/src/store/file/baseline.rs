//! Baselines in the file: `[baseline]`, and `[baseline_under_way]`.

use std::{collections::BTreeMap, sync::Arc};

use toml_edit::{Item, Table, TableLike};

use super::{
    edit::{set, set_or_remove, table_in},
    form::{Read, Reader, date, wrong},
};
use crate::{Baseline, Summary, Unit};

const KEYS: [&str; 4] = ["version", "since", "until", "figures"];
const FIGURE_KEYS: [&str; 8] = ["unit", "windows", "mean", "least", "most", "p50", "p95", "p99"];

pub(super) fn read(item: &Item, name: &str) -> Read<Baseline> {
    let table = Reader::of(item, name)?;
    table.only(&KEYS)?;
    let mut figures = BTreeMap::new();
    if let Some(item) = table.table.get("figures") {
        for (figure, item) in Reader::of(item, "figures")?.table.iter() {
            figures.insert(Arc::from(figure), summary(Reader::of(item, figure)?)?);
        }
    }
    Ok(Baseline {
        version: table.needed("version", table.number("version")?)?,
        since: table.needed("since", table.date("since")?)?,
        until: table.date("until")?,
        figures,
    })
}

fn summary(figure: Reader<'_>) -> Read<Summary> {
    figure.only(&FIGURE_KEYS)?;
    let number = |key: &str| {
        let item = figure.needed(key, figure.table.get(key))?;
        let number = item.as_float().or_else(|| item.as_integer().map(|number| number as f64));
        number.filter(|number| number.is_finite()).ok_or_else(|| wrong(item, key, "a number"))
    };
    let unit = figure.get("unit", "a unit such as \"bytes\"", |item| Unit::named(item.as_str()?))?;
    Ok(Summary {
        unit: unit.unwrap_or_default(),
        windows: figure.needed("windows", figure.number("windows")?)?,
        mean: number("mean")?,
        least: number("least")?,
        most: number("most")?,
        p50: number("p50")?,
        p95: number("p95")?,
        p99: number("p99")?,
    })
}

pub(super) fn enter(document: &mut Table, name: &str, baseline: Option<&Baseline>, new: impl FnOnce() -> Item) {
    let Some(baseline) = baseline else {
        document.remove(name);
        return;
    };
    let table = table_in(document, name, new);
    set(table, "version", baseline.version as i64);
    set(table, "since", date(baseline.since));
    set_or_remove(table, "until", baseline.until.map(date));
    let figures = table_in(table, "figures", || {
        let mut figures = Table::new();
        figures.set_implicit(true);
        Item::Table(figures)
    });
    let gone: Vec<_> = figures.iter().map(|(figure, _)| figure.to_owned()).collect();
    gone.iter()
        .filter(|figure| !baseline.figures.contains_key(figure.as_str()))
        .for_each(|gone| _ = figures.remove(gone));
    for (figure, Summary { unit, windows, mean, least, most, p50, p95, p99 }) in &baseline.figures {
        let entry: &mut dyn TableLike = table_in(figures, figure, || Item::Table(Table::new()));
        set(entry, "unit", unit.name());
        set(entry, "windows", *windows as i64);
        let numbers = [("mean", mean), ("least", least), ("most", most), ("p50", p50), ("p95", p95), ("p99", p99)];
        for (key, number) in numbers {
            if entry.get(key).and_then(Item::as_float) != Some(*number) {
                set(entry, key, *number);
            }
        }
    }
}
