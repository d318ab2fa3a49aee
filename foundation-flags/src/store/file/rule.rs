//! What is said about a flag: `true`, `false`, `"25 %"`, or a table with more.

use std::{collections::BTreeMap, sync::Arc};

use toml_edit::{InlineTable, Item, TableLike, Value, value};

use super::{
    edit::{clear, set, table_in},
    form::{Read, Reader, wrong},
    text::Problem,
};
use crate::{MOST_TARGETS, Percent, Rule, Setting};

const KEYS: [&str; 4] = ["everybody", "actors", "groups", "nodes"];
const EXPECTED: &str = "true, false, or a percentage such as \"25 %\"";

/// `true`, `false` or a percentage.
pub(super) fn read_setting(item: &Item, key: &str) -> Read<Setting> {
    let share = |text: &str| {
        let number = text.strip_suffix('%')?.trim_end().parse().ok()?;
        Percent::new(number).ok().map(Setting::Percent)
    };
    let setting = match (item.as_bool(), item.as_str()) {
        (Some(on), _) => Some(Setting::of(on)),
        (None, Some(text)) => share(text),
        (None, None) => None,
    };
    setting.ok_or_else(|| wrong(item, key, EXPECTED))
}

pub(super) fn setting(setting: Setting) -> Value {
    match setting {
        Setting::On => true.into(),
        Setting::Off => false.into(),
        Setting::Percent(percent) => percent.to_string().into(),
    }
}

pub(super) fn read(item: &Item, name: &str) -> Read<Rule> {
    let Some(table) = item.as_table_like() else {
        let everybody = read_setting(item, name)
            .map_err(|_| wrong(item, name, &format!("{EXPECTED}; or a table of {}", KEYS.join(", "))))?;
        return Ok(Rule { everybody: Some(everybody), ..Rule::default() });
    };
    let table = Reader { table, name };
    table.only(&KEYS)?;
    let rule = Rule {
        everybody: table.table.get("everybody").map(|item| read_setting(item, "everybody")).transpose()?,
        actors: targets(table, "actors")?,
        groups: targets(table, "groups")?,
        nodes: targets(table, "nodes")?,
    };
    if rule.targets() > MOST_TARGETS {
        let problem =
            format!("`{name}` names {} actors, groups and nodes, and may name {MOST_TARGETS}", rule.targets());
        return Err(Problem::new(item.span(), problem));
    }
    Ok(rule)
}

fn targets(rule: Reader<'_>, key: &str) -> Read<BTreeMap<Arc<str>, bool>> {
    let Some(item) = rule.table.get(key) else { return Ok(BTreeMap::new()) };
    let all = Reader::of(item, key)?;
    let target = |(name, item): (&str, &Item)| {
        let on = item.as_bool().ok_or_else(|| wrong(item, name, "true or false"))?;
        Ok((name.into(), on))
    };
    all.table.iter().map(target).collect()
}

/// Makes the table say this about the flag, and touches nothing that says it already.
pub(super) fn enter(flags: &mut dyn TableLike, name: &str, rule: &Rule) {
    let there = flags.get(name).map(|item| read(item, name));
    if there.as_ref().is_some_and(|there| there.as_ref() == Ok(rule)) || (there.is_none() && rule.is_empty()) {
        return;
    }
    if let Some(table) = flags.get_mut(name).and_then(Item::as_table_like_mut) {
        match rule.everybody {
            Some(everybody) => set(table, "everybody", setting(everybody)),
            None => _ = table.remove("everybody"),
        }
        for (key, targets) in [("actors", &rule.actors), ("groups", &rule.groups), ("nodes", &rule.nodes)] {
            enter_targets(table, key, targets);
        }
        if rule.is_empty() {
            clear(flags, name);
        }
        return;
    }
    match rule.everybody {
        Some(everybody) if rule.targets() == 0 => set(flags, name, setting(everybody)),
        _ if rule.is_empty() => clear(flags, name),
        everybody => {
            let mut table = InlineTable::new();
            everybody.into_iter().for_each(|everybody| _ = table.insert("everybody", setting(everybody)));
            for (key, targets) in [("actors", &rule.actors), ("groups", &rule.groups), ("nodes", &rule.nodes)] {
                enter_targets(&mut table, key, targets);
            }
            set(flags, name, Value::from(table));
        }
    }
}

fn enter_targets(rule: &mut dyn TableLike, key: &str, targets: &BTreeMap<Arc<str>, bool>) {
    if targets.is_empty() {
        _ = rule.remove(key);
        return;
    }
    let table = table_in(rule, key, || value(InlineTable::new()));
    let gone: Vec<_> =
        table.iter().map(|(name, _)| name.to_owned()).filter(|name| !targets.contains_key(&**name)).collect();
    gone.iter().for_each(|name| _ = table.remove(name));
    targets.iter().for_each(|(name, on)| set(table, name, *on));
}
