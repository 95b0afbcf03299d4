//! A machine with more edges than the compiler reads attributes on one item: they stand in one attribute.

use cim_es::prelude::*;

/// Each name is an event and the command that leads to it, in the only state and again on the enum.
macro_rules! machine {
    ($($name:ident)*) => {
        #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[on(Second: $($name / $name => _),*)]
        enum LargeState {
            #[state(initial)]
            #[on(Begin / Begun => Second, $($name / $name => _),*)]
            First,
            Second,
        }

        #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
        enum LargeEvent { Begun, $($name),* }

        #[derive(Command, Clone, Debug)]
        enum LargeCommand { Begin, $($name),* }

        const NAMES: &[&str] = &[$(stringify!($name)),*];
        const COMMANDS: &[LargeCommand] = &[$(LargeCommand::$name),*];
    };
}

machine! {
    S0 S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24
    S25 S26 S27 S28 S29 S30 S31 S32 S33 S34 S35 S36 S37 S38 S39 S40 S41 S42 S43 S44 S45 S46 S47
    S48 S49 S50 S51 S52 S53 S54 S55 S56 S57 S58 S59 S60 S61 S62 S63 S64 S65 S66 S67 S68 S69 S70
    S71 S72 S73 S74 S75 S76 S77 S78 S79 S80 S81 S82 S83 S84 S85 S86 S87 S88 S89 S90 S91 S92 S93
    S94 S95 S96 S97 S98 S99 S100 S101 S102 S103 S104 S105 S106 S107 S108 S109 S110 S111 S112
    S113 S114 S115 S116 S117 S118 S119 S120 S121 S122 S123 S124 S125 S126 S127 S128 S129 S130
    S131 S132 S133 S134 S135 S136 S137 S138 S139
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "contract", name = "large")]
struct Large {
    state: LargeState,
}

#[test]
fn a_state_has_as_many_edges_in_one_attribute_as_are_written() {
    assert_eq!(LargeState::EDGES.len(), 2 * NAMES.len() + 1);
    let accepted = LargeState::Second.accepted_commands();
    assert_eq!(accepted, NAMES);
    for state in [LargeState::First, LargeState::Second] {
        assert!(COMMANDS.iter().all(|command| state.can_accept(command)));
        assert_eq!(state.next(&LargeEvent::S139), Ok(state));
    }
    assert_eq!(Large::default().state, LargeState::First);
    let _ = LargeCommand::Begin;
}
