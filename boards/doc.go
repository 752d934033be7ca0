// Package boards holds the rules of a board: which commands there are, who may
// send them, and what each comes to. [Decide] reads the [State] and answers
// with events or a [Rejection]; [State.Evolve] folds events back into the
// state. Both are pure: no clock, no randomness, no I/O, no goroutines. The
// board is the boundary of consistency: everything a rule looks at is in one
// State, folded from one log.
//
// A task moves like this; "verdict" is a worker's or a person's word:
//
//	          specify                edges met            claim
//	triage ─────────────► todo ◄────────────────► ready ────────► running
//	   ▲                   ▲      edge opened       ▲ ▲              │
//	   │                   │                        │ │  end without │ verdict
//	created            scheduled ───────────────────┘ └──────────────┤
//	                     time due / promote                          │
//	                                                                 │
//	        blocked ◄──── block, gave up, stopped ───────────────────┤
//	           └───────── unblock: back where it was                 │
//	         review ◄──── request_review ────────────────────────────┤
//	           └───────── claimed by the reviewer: approve → done, request_changes → ready
//	           done ◄──── complete: pass, fail, cancelled ───────────┘
//	           └───────── reopen; archive → archived
//
// A run has a claim, at most one verdict, and one end. The claim's position is
// its fence; every command of a worker carries run and fence. The verdict moves
// the task at once and takes the run's right to speak; the end comes when the
// process tree is proven gone, and moves the task only if there was no verdict.
// Until then no other run of the task can be claimed.
//
// The state machine, as the rules have it. "run" is the task's own run, or the
// person who claimed it; "peer" a run of another task of the same tenant;
// "orchestrator" a run with that role. "reviewing" is running, claimed from
// review; "same" means that the task stays where it is; "-" that it does not
// exist yet.
//
//	command         | by                            | from | to
//	create_tasks    | person dispatcher run         | - | triage todo scheduled ready blocked
//	specify_task    | person dispatcher             | triage | todo scheduled ready
//	decompose_task  | person dispatcher             | triage | todo scheduled
//	fail_plan       | person dispatcher             | triage | blocked same
//	(edge met)      | rule                          | todo | scheduled ready review
//	(edge opened)   | rule                          | scheduled ready review | todo
//	promote_task    | person                        | triage todo scheduled | triage todo scheduled ready review
//	promote_task    | dispatcher                    | scheduled | triage todo ready review
//	schedule_task   | person                        | triage todo scheduled ready review blocked done | scheduled
//	claim_task      | person dispatcher             | ready | running
//	claim_task      | person dispatcher             | review | reviewing
//	start_run       | dispatcher run                | running reviewing | same
//	heartbeat       | run                           | running reviewing | same
//	complete_task   | run                           | running | done
//	complete_task   | person                        | triage todo scheduled ready review blocked | done
//	request_review  | run                           | running | review
//	approve_task    | run                           | reviewing | done
//	approve_task    | person                        | review | done
//	request_changes | run                           | reviewing | todo ready
//	request_changes | person                        | review | todo ready
//	block_task      | run                           | running reviewing | todo blocked
//	block_task      | person                        | triage todo scheduled ready review | blocked
//	stop_run        | person dispatcher             | running reviewing | todo ready review blocked done archived same
//	stop_run        | person                        | triage todo scheduled ready review blocked done archived | same
//	end_run         | dispatcher run                | running reviewing | todo ready review blocked done archived
//	end_run         | dispatcher run                | triage todo scheduled ready review blocked done archived | same
//	refuse_calls    | person dispatcher run         | triage todo scheduled ready running reviewing review blocked done archived | same
//	unblock_task    | person orchestrator           | blocked | triage todo scheduled ready review
//	reopen_task     | person                        | done archived | triage todo scheduled ready review
//	archive_task    | person                        | triage todo scheduled ready review blocked done | archived
//	link_tasks      | person orchestrator           | triage todo scheduled ready running reviewing review blocked done | todo scheduled ready review same
//	unlink_tasks    | person                        | triage todo scheduled ready running reviewing review blocked done | scheduled ready review same
//	assign_task     | person dispatcher             | triage todo scheduled ready running reviewing review blocked done | todo ready review same
//	edit_task       | person dispatcher             | triage todo scheduled ready running reviewing review blocked done | same
//	prioritize_task | person dispatcher             | triage todo scheduled ready running reviewing review blocked done | same
//	set_tenant      | person                        | triage todo scheduled ready review blocked done | same
//	set_model       | person                        | triage todo scheduled ready running reviewing review blocked done | same
//	comment_task    | person dispatcher run peer    | triage todo scheduled ready running reviewing review blocked done | same
//	attach_file     | person dispatcher run         | triage todo scheduled ready running reviewing review blocked done | same
//	detach_file     | person                        | triage todo scheduled ready running reviewing review blocked done | same
//	subscribe       | person dispatcher             | triage todo scheduled ready running reviewing review blocked done archived | same
//	unsubscribe     | person dispatcher             | triage todo scheduled ready running reviewing review blocked done archived | same
//	record_sent     | dispatcher                    | triage todo scheduled ready running reviewing review blocked done archived | same
//	record_dead     | dispatcher                    | triage todo scheduled ready running reviewing review blocked done archived | same
//	retry_dead      | person                        | triage todo scheduled ready running reviewing review blocked done archived | same
//	report_budget   | dispatcher run                | triage todo scheduled ready running reviewing review blocked done archived | same
//
// Besides the table hold, among others: no claim while the board is paused, the
// agent is held, the task rests, an edge is open, or another open run uses the
// folder; only a run in phase review may approve; cancelled is never a worker's
// verdict; a block that the rules or a person made is lifted by persons only.
//
// What is accepted is recorded outright: the status a task went to, the streak
// reached. Children are promoted and demoted in the command that causes it.
package boards
