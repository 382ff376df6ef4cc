//! The shape of one row of the settings table.

/// One setting: everything that the parsers, the validation and the reference page know of it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in every message: the environment's, or the flag's where there is none.
    pub name: &'static str,
    /// Environment variables that kube-vip reads, the main one first; a later one counts only where
    /// the earlier are empty.
    pub environment: &'static [&'static str],
    /// Variables of kube-vip's documentation that kube-vip does not read. They have no effect, so that
    /// a node with viplet means what its neighbours with kube-vip mean.
    pub unread: &'static [&'static str],
    /// Where this is not empty, kube-vip reads the variable only where that one is given too.
    pub beside: &'static str,
    /// Flags without their dashes, kube-vip's own spelling first; one letter is a short flag.
    pub flags: &'static [&'static str],
    /// Keys of the settings file (Go field names; a dot nests). Environment names are keys too.
    pub file: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// The value when nobody gives one, as it would be written in the environment.
    pub default: &'static str,
    /// What an empty value means.
    pub empty: Empty,
    /// What becomes of a number out of range.
    pub outside: Outside,
    /// The Cargo feature that it belongs to; empty: every build has it.
    pub feature: &'static str,
    /// What it does when it is given.
    pub role: Role,
    /// When it matters.
    pub gate: Gate,
    /// One line for the reference page.
    pub meaning: &'static str,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Go's `strconv.ParseBool`.
    Bool,
    /// A whole number, limits included.
    Integer(i64, i64),
    /// 0 (off), or a port that needs no privilege: 1024 to 65535.
    HighPort,
    /// A whole number of milliseconds; below 500 it becomes 3000, with a warning.
    AnnounceInterval,
    /// Go's `time.ParseDuration`.
    Duration,
    /// Any text.
    Text,
    /// Any text, taken as it is and never shown.
    Secret,
    /// The name of a network interface.
    Interface,
    /// The name of a network interface, or `auto`.
    InterfaceOrAuto,
    /// IP addresses and DNS names, comma separated.
    Targets,
    /// One IP address.
    Address,
    /// `24`, `24,64`, `auto`, `auto,auto`.
    PrefixLengths,
    /// CIDRs, comma separated.
    Cidrs,
    /// `name` or `namespace/name` of a Lease.
    Lease,
    /// A namespace.
    Namespace,
    /// A JSON object with text values.
    TextMap,
    /// An absolute http or https URL.
    Url,
    /// `host:port` or an http or https URL.
    Endpoint,
    /// `:port`, `address:port`, `name:port`.
    Listener,
    /// One of these words.
    Words(&'static [&'static str], Unknown),
    /// BGP peers: `address:as[:password[:multihop[:port[:…]]]]`, comma separated; holds passwords.
    Peers,
    /// A comma list of texts.
    List,
    /// Letters, digits, `.`, `-`, `_`; at most 243 bytes.
    InstanceName,
}

/// What becomes of a word that is not in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// An error.
    Refused,
    /// The default, with a warning: kube-vip takes it silently.
    Default,
}

/// What becomes of a number that is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// An error: nothing works with it.
    Refused,
    /// The nearest one in range, with a warning: kube-vip goes on with it too.
    Nearest,
    /// The default, with a warning: kube-vip ignores it silently.
    Default,
}

/// What an empty value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// Not given: the next source counts.
    Unset,
    /// A value, in a flag and in the file; not in the environment.
    ValueOutsideEnvironment,
    /// A value.
    Value,
}

/// What a setting does when it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Any value but the default turns its feature on.
    Switch,
    /// Adjusts something that another setting turns on.
    Parameter,
    /// kube-vip does nothing with it, and so do we; the text says what to do instead.
    NoEffect(&'static str),
    /// The older name of this other setting. It counts where kube-vip would not start without it, and
    /// has no effect elsewhere.
    OlderName(&'static str),
    /// Gone; the text says what to do instead.
    Removed(&'static str),
}

/// When a setting matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Always.
    Always,
    /// When one of these booleans is true.
    AnyOn(&'static [&'static str]),
    /// When this setting is not empty.
    Given(&'static str),
    /// When this setting has this value.
    Is(&'static str, &'static str),
}

impl Setting {
    /// A row with an environment variable of its own name and nothing else.
    pub(super) const fn new(
        environment: &'static [&'static str],
        kind: Kind,
        default: &'static str,
        meaning: &'static str,
    ) -> Self {
        let name = match environment {
            [first, ..] => *first,
            [] => "",
        };
        Self {
            name,
            environment,
            unread: &[],
            beside: "",
            flags: &[],
            file: &[],
            kind,
            default,
            empty: Empty::Unset,
            outside: Outside::Refused,
            feature: "",
            role: Role::Parameter,
            gate: Gate::Always,
            meaning,
        }
    }

    /// Its flags. The first names the setting where it has no environment variable.
    pub(super) const fn flags(mut self, flags: &'static [&'static str]) -> Self {
        if self.name.is_empty()
            && let [first, ..] = flags
        {
            self.name = first;
        }
        self.flags = flags;
        self
    }

    /// Its keys in the settings file. The first names it where it has nothing else.
    pub(super) const fn file(mut self, keys: &'static [&'static str]) -> Self {
        if self.name.is_empty()
            && let [first, ..] = keys
        {
            self.name = first;
        }
        self.file = keys;
        self
    }

    /// What an empty value means.
    pub(super) const fn empty(mut self, empty: Empty) -> Self {
        self.empty = empty;
        self
    }

    /// Variables that somebody may take for its own.
    pub(super) const fn unread(mut self, names: &'static [&'static str]) -> Self {
        self.unread = names;
        self
    }

    /// Its variable counts only beside this one.
    pub(super) const fn beside(mut self, name: &'static str) -> Self {
        self.beside = name;
        self
    }

    /// What becomes of a number out of range.
    pub(super) const fn outside(mut self, outside: Outside) -> Self {
        self.outside = outside;
        self
    }

    /// It turns this feature on (no feature: something that every build has).
    pub(super) const fn switch(mut self, feature: &'static str) -> Self {
        self.feature = feature;
        self.role = Role::Switch;
        self
    }

    /// It adjusts this feature.
    pub(super) const fn of(mut self, feature: &'static str) -> Self {
        self.feature = feature;
        self
    }

    /// It does nothing, or is gone.
    pub(super) const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// When it matters.
    pub(super) const fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// Whether its value must not be shown in full.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Peers)
    }

    /// Whether a flag of this setting stands for `true` without a value.
    #[must_use]
    pub const fn is_bool(&self) -> bool {
        matches!(self.kind, Kind::Bool)
    }

    /// Whether it takes a whole number.
    #[must_use]
    pub(super) const fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Integer(..) | Kind::HighPort | Kind::AnnounceInterval)
    }

    /// Whether a repeated flag adds to the list instead of replacing it.
    #[must_use]
    pub const fn is_list(&self) -> bool {
        matches!(self.kind, Kind::Peers | Kind::List)
    }
}
