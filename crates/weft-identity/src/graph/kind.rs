//! The words of the graph: kinds of nodes and of edges, and when an edge holds.

/// Declares an enum whose variants have a name that stays.
macro_rules! named {
    ($(#[$about:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $type { $($(#[$doc])* $variant,)+ }

        impl $type {
            /// All of them, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name, as it is written in snapshots, tables and answers.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// By name.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named;

named! {
    /// What a node stands for.
    NodeKind {
        /// Named by an edge, described by nobody so far.
        Unknown = "unknown",
        /// A human being, as a register of persons knows them.
        Person = "person",
        /// What somebody signs in with.
        Account = "account",
        /// Principals under one name.
        Group = "group",
        /// What principals act in.
        Role = "role",
        /// A machine identity: service account, application, workload, agent.
        Machine = "machine",
        /// A computer or a phone.
        Device = "device",
        /// What is reached: an application, an account of a provider, a repository, a domain.
        Resource = "resource",
        /// A permission or a policy that grants some.
        Entitlement = "entitlement",
    }
}

named! {
    /// What an edge says. It points from who has to what is had, so that what somebody reaches lies ahead.
    EdgeKind {
        /// A principal is a member of a group.
        MemberOf = "member_of",
        /// A principal, or a group of them, has a role for good.
        HasRole = "has_role",
        /// A principal may take a role on.
        CanAssume = "can_assume",
        /// A person or an account has another account, a device or a machine identity.
        Owns = "owns",
        /// A principal or a role has an entitlement, or is assigned to a resource.
        EntitledTo = "entitled_to",
        /// A principal can change what another node is or may.
        Controls = "controls",
        /// A container holds what is below it: who controls it controls that.
        Contains = "contains",
        /// Who has a device gets at what was left on it.
        Exposes = "exposes",
        /// A machine identity acts for a principal.
        ActsFor = "acts_for",
        /// The source says that two accounts are one person's. Nothing is reached by it.
        SamePerson = "same_person",
        /// The source says that two accounts are two persons'. Nothing is reached by it.
        NotSamePerson = "not_same_person",
        /// A manager. Nothing is reached by it.
        ReportsTo = "reports_to",
        /// Domains or accounts that rely on each other. Nothing is reached by it alone.
        Trusts = "trusts",
    }
}

impl EdgeKind {
    /// Whether who is at its start can act through its end.
    pub fn confers(self) -> bool {
        !matches!(self, Self::SamePerson | Self::NotSamePerson | Self::ReportsTo | Self::Trusts)
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
pub type Micros = i64;

/// When something holds: from an instant on, until before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// First instant, microseconds since 1970.
    pub from: Micros,
    /// First instant at which it holds no more; [`Interval::OPEN`] while no end is known.
    pub until: Micros,
}

impl Interval {
    /// No end is known.
    pub const OPEN: Micros = Micros::MAX;
    /// At any time.
    pub const ALWAYS: Self = Self { from: Micros::MIN, until: Self::OPEN };

    /// From an instant on.
    pub fn since(from: Micros) -> Self {
        Self { from, until: Self::OPEN }
    }

    /// Whether it holds at an instant.
    pub fn holds(self, at: Micros) -> bool {
        self.from <= at && (at < self.until || self.until == Self::OPEN)
    }

    /// The most of [`Interval::nearness`].
    pub(crate) const HOLDS: u8 = 2;

    /// How near it is to an instant: most what holds since last, then what ended last, then what begins next.
    /// `None` for what never held.
    pub(crate) fn nearness(self, at: Micros) -> Option<(u8, Micros)> {
        match self {
            _ if self.from >= self.until => None,
            _ if self.holds(at) => Some((Self::HOLDS, self.from)),
            _ if self.from <= at => Some((1, self.until)),
            _ => Some((0, self.from.saturating_neg())),
        }
    }
}
