//! All forms, in any order, beside a plain list of scopes.

use foundation_context::{Context, Fields, Scope, Value, current, scope, set, with, with_only};
use proptest::{collection::vec, prelude::*};

use crate::{elsewhere, text};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

type Said = (usize, u8);

#[derive(Clone, Debug)]
enum Step {
    With(Said, Vec<Step>),
    WithOnly(Said, Vec<Step>),
    Enter(bool, Vec<Step>),
    Panic,
    Open(Said),
    /// Which of the guards that are there.
    Close(usize),
    Set(Said),
    Clear,
    Look,
    /// What is taken along now is entered by the next `Enter`.
    Keep,
}

fn step() -> impl Strategy<Value = Step> {
    let said = || (0..NAMES.len(), any::<u8>());
    let leaf = prop_oneof![
        3 => said().prop_map(Step::Open),
        3 => any::<usize>().prop_map(Step::Close),
        2 => said().prop_map(Step::Set),
        1 => Just(Step::Clear),
        2 => Just(Step::Look),
        1 => Just(Step::Keep),
        1 => Just(Step::Panic),
    ];
    leaf.prop_recursive(4, 60, 8, move |inner| {
        let steps = || vec(inner.clone(), 0..8);
        prop_oneof![
            (said(), steps()).prop_map(|(said, steps)| Step::With(said, steps)),
            (said(), steps()).prop_map(|(said, steps)| Step::WithOnly(said, steps)),
            (any::<bool>(), steps()).prop_map(|(kept, steps)| Step::Enter(kept, steps)),
        ]
    })
}

fn fields((name, value): Said) -> Fields {
    Fields::from([(NAMES[name], Value::from(value))])
}

/// One scope of the oracle: what it says, what it ends with, whether it hides what is outside.
#[derive(Clone, Debug)]
struct Plain {
    id: u64,
    owner: u64,
    hides: bool,
    entered: bool,
    said: Vec<(usize, u8)>,
}

#[derive(Default)]
struct Oracle {
    scopes: Vec<Plain>,
    ids: u64,
}

impl Oracle {
    fn open(&mut self, hides: bool, entered: bool, said: Vec<Said>) -> u64 {
        self.ids += 1;
        self.scopes.push(Plain { id: self.ids, owner: self.ids, hides, entered, said });
        self.ids
    }

    fn set(&mut self, said: Vec<Said>) {
        let owner = self.scopes.iter().rev().find(|scope| scope.owner == scope.id).map_or(0, |scope| scope.id);
        self.ids += 1;
        self.scopes.push(Plain { id: self.ids, owner, hides: true, entered: false, said });
    }

    fn close(&mut self, id: u64) {
        let Some(at) = self.scopes.iter().position(|scope| scope.id == id) else { return };
        if self.scopes[at].entered {
            self.scopes.truncate(at);
        }
        self.scopes.retain(|scope| scope.owner != id);
    }

    fn seen(&self) -> Vec<Said> {
        let from = self.scopes.iter().rposition(|scope| scope.hides).unwrap_or(0);
        let mut seen: Vec<Said> = Vec::new();
        for (name, value) in self.scopes[from..].iter().flat_map(|scope| scope.said.clone()) {
            match seen.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => seen.push((name, value)),
            }
        }
        seen
    }

    fn text(&self) -> String {
        self.seen().into_iter().flat_map(fields).collect::<Fields>().to_string()
    }
}

#[derive(Default)]
struct World {
    oracle: Oracle,
    guards: Vec<(u64, Scope)>,
    kept: (Context, Vec<Said>),
}

impl World {
    fn run(&mut self, steps: Vec<Step>) {
        for step in steps {
            self.step(step);
            assert_eq!(text(), self.oracle.text());
        }
    }

    fn within(&mut self, id: u64, run: impl FnOnce(&mut Self)) {
        run(self);
        self.oracle.close(id);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::With(said, steps) => {
                let id = self.oracle.open(false, false, vec![said]);
                self.within(id, |world| survived(|| with(fields(said), || world.run(steps))));
            }
            Step::WithOnly(said, steps) => {
                let id = self.oracle.open(true, false, vec![said]);
                self.within(id, |world| survived(|| with_only(fields(said), || world.run(steps))));
            }
            Step::Enter(kept, steps) => {
                let (context, seen) = if kept { self.kept.clone() } else { Default::default() };
                let id = self.oracle.open(true, true, seen);
                self.within(id, |world| survived(|| context.enter(|| world.run(steps))));
            }
            Step::Panic => std::panic::resume_unwind(Box::new(Planned)),
            Step::Open(said) => {
                let id = self.oracle.open(false, false, vec![said]);
                self.guards.push((id, scope(fields(said))));
            }
            Step::Close(which) if !self.guards.is_empty() => {
                let (id, guard) = self.guards.remove(which % self.guards.len());
                self.oracle.close(id);
                drop(guard);
            }
            Step::Close(_) => {}
            Step::Set(said) => {
                self.oracle.set(vec![said]);
                set(fields(said));
            }
            Step::Clear => {
                self.oracle.set(Vec::new());
                foundation_context::clear();
            }
            Step::Look => _ = current(),
            Step::Keep => self.kept = (current(), self.oracle.seen()),
        }
    }
}

struct Planned;

/// A panic that was planned ends here, and any other goes on.
fn survived(run: impl FnOnce()) {
    if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        && !payload.is::<Planned>()
    {
        std::panic::resume_unwind(payload);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_visible_is_what_a_plain_list_of_scopes_says(steps in vec(step(), 0..40)) {
        elsewhere(move || {
            let mut world = World::default();
            survived(|| world.run(steps));
            world.guards.into_iter().rev().for_each(|(id, guard)| {
                world.oracle.close(id);
                drop(guard);
            });
            assert_eq!(text(), world.oracle.text());
        });
    }
}
