package boards_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
)

// TestDocTable compares the table in the package comment with the rules.
func TestDocTable(t *testing.T) {
	b, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var doc [][4]string
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.TrimPrefix(line, "//"), "|")
		if len(cells) != 4 || strings.TrimSpace(cells[0]) == "command" {
			continue
		}
		var row [4]string
		for i, c := range cells {
			row[i] = strings.TrimSpace(c)
		}
		doc = append(doc, row)
	}
	if code := boards.TransitionTable(); !slices.Equal(doc, code) {
		for i := range max(len(doc), len(code)) {
			if i >= len(doc) || i >= len(code) || doc[i] != code[i] {
				t.Errorf("row %d: got %q in doc.go, want %q", i+1, at(doc, i), at(code, i))
			}
		}
	}
}

func at(rows [][4]string, i int) string {
	if i < len(rows) {
		return strings.Join(rows[i][:], " | ")
	}
	return "nothing"
}

// One task, t1, is brought into every place; t2 belongs to a peer's run and t3
// to an orchestrator's, t4 is a bystander.
const card, peers, orchestrators, bystander = events.TaskID(1), events.TaskID(2), events.TaskID(3), events.TaskID(4)

func run(b *boardstest.Board, t *testing.T, id events.TaskID, role events.Role) {
	t.Helper()
	b.Must(t, boardstest.TheDispatcher, boards.ClaimTask{Task: id, Agent: "coder", Role: role, Token: boardstest.Token(events.RunID{Task: id, N: uint32(len(b.Records))})})
}

func worker(b *boardstest.Board, t *testing.T, id events.TaskID) boards.Principal {
	t.Helper()
	p, ok := b.Worker(id)
	if !ok {
		t.Fatalf("%v has no open run", id)
	}
	return p
}

// ways brings t1 into each place from ready.
var ways = map[string]func(*testing.T, *boardstest.Board){
	"ready": func(*testing.T, *boardstest.Board) {},
	"todo": func(t *testing.T, b *boardstest.Board) {
		b.Must(t, boardstest.Kai, boards.LinkTasks{Parent: bystander, Child: card})
	},
	"scheduled": func(t *testing.T, b *boardstest.Board) {
		b.Must(t, boardstest.Kai, boards.ScheduleTask{Task: card, At: b.Now + 1e6})
		b.Now += 2e6
	},
	"running": func(t *testing.T, b *boardstest.Board) { run(b, t, card, events.RoleWorker) },
	"reviewing": func(t *testing.T, b *boardstest.Board) {
		toReview(t, b)
		b.Must(t, boardstest.TheDispatcher, boards.EndRun{Run: events.RunID{Task: card, N: 1}})
		b.Must(t, boardstest.TheDispatcher, boards.ClaimTask{Task: card, Agent: "critic", Token: boardstest.Token(events.RunID{Task: card, N: 2})})
	},
	"review": toReview,
	"blocked": func(t *testing.T, b *boardstest.Board) {
		b.Must(t, boardstest.Kai, boards.BlockTask{Task: card, Kind: events.BlockNeedsInput})
	},
	"done":     func(t *testing.T, b *boardstest.Board) { b.Must(t, boardstest.Kai, boards.CompleteTask{Task: card}) },
	"archived": func(t *testing.T, b *boardstest.Board) { b.Must(t, boardstest.Kai, boards.ArchiveTask{Task: card}) },
	"triage":   nil, // made so
}

func toReview(t *testing.T, b *boardstest.Board) {
	run(b, t, card, events.RoleWorker)
	b.Must(t, worker(b, t, card), boards.RequestReview{Task: card, Reviewer: "critic", Summary: "look"})
}

// attempts are commands about t1 that nothing but its place speaks against.
var attempts = []boards.Command{
	boards.SpecifyTask{Task: card, Title: "clear"},
	boards.DecomposeTask{Task: card, Children: []boards.NewTask{{Title: "part"}}},
	boards.FailPlan{Task: card},
	boards.PromoteTask{Task: card},
	boards.ScheduleTask{Task: card, At: boardstest.Start + 1e12},
	boards.ClaimTask{Task: card, Agent: "coder", Token: events.DigestOf([]byte("new"))},
	boards.StartRun{Run: events.RunID{Task: card, N: 1}, Started: events.RunStarted{Boot: "b", PID: 1}},
	boards.Heartbeat{Task: card},
	boards.CompleteTask{Task: card},
	boards.RequestReview{Task: card, Reviewer: "judge", Summary: "look"},
	boards.ApproveTask{Task: card},
	boards.RequestChanges{Task: card, Reason: "no"},
	boards.BlockTask{Task: card, Kind: events.BlockNeedsInput},
	boards.StopRun{Task: card, Then: events.ThenRetry},
	boards.EndRun{Run: events.RunID{Task: card, N: 1}, Outcome: events.OutcomeCrashed},
	boards.RefuseCalls{Run: events.RunID{Task: card, N: 1}, Code: "not_yours", Count: 1},
	boards.UnblockTask{Task: card},
	boards.ReopenTask{Task: card},
	boards.ArchiveTask{Task: card},
	boards.LinkTasks{Parent: bystander, Child: card, Needs: events.NeedsAny},
	boards.UnlinkTasks{Parent: bystander, Child: card},
	boards.AssignTask{Task: card, Assignee: "scout", Reclaim: true},
	boards.EditTask{Task: card, Title: new("other")},
	boards.PrioritizeTask{Task: card, Priority: 1},
	boards.SetTenant{Task: card, Tenant: "south"},
	boards.SetModel{Task: card, Model: "m"},
	boards.CommentTask{Task: card, Body: "hm"},
	boards.AttachFile{Task: card, Name: "a", Artifact: events.Artifact{SHA256: events.DigestOf(nil)}},
	boards.DetachFile{Task: card, Attachment: 1},
}

// TestTableIsTheTruth sends every command from every kind of sender to a task in
// every place: what the table has not is refused, and what it has is not
// refused for the task's status or the sender.
func TestTableIsTheTruth(t *testing.T) {
	table := boards.TransitionTable()
	accepted := 0
	for place := range ways {
		for _, c := range attempts {
			for _, as := range []string{"person", "dispatcher", "run", "peer", "orchestrator"} {
				b := boardstest.New(t)
				b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{
					{Title: "card", Triage: place == "triage"}, {Title: "peer's"}, {Title: "orchestrator's"}, {Title: "bystander"},
				}})
				if way := ways[place]; way != nil {
					way(t, b)
				}
				by, ok := sender(t, b, as)
				if got := boards.Place(b.State, card); got != place {
					t.Fatalf("got %s, want %s", got, place)
				}
				if !ok {
					continue
				}
				_, err := b.Do(by, c)
				var r *boards.Rejection
				errors.As(err, &r)
				barred := r != nil && (r.Code == boards.CodeWrongStatus || r.Code == boards.CodeNotYours || r.Code == boards.CodeStaleRun)
				switch has := inTable(table, c.CommandName(), as, place); {
				case !has && err == nil:
					t.Errorf("%s by %s on %s: accepted, and not in the table", c.CommandName(), as, place)
				case has && barred && !special(c, as, b):
					t.Errorf("%s by %s on %s: in the table, and refused: %s: %v", c.CommandName(), as, place, r.Code, r)
				case err == nil:
					accepted++
				case r.Hint == "" && as == "person" && r.Code == boards.CodeWrongStatus:
					t.Errorf("%s on %s: refused without a hint: %v", c.CommandName(), place, r)
				}
			}
		}
	}
	if accepted < 200 {
		t.Errorf("got %d accepted, want 200 and more: the attempts do not attempt much", accepted)
	}
}

func sender(t *testing.T, b *boardstest.Board, as string) (boards.Principal, bool) {
	t.Helper()
	switch as {
	case "person":
		return boardstest.Kai, true
	case "dispatcher":
		return boardstest.TheDispatcher, true
	case "peer":
		run(b, t, peers, events.RoleWorker)
		return worker(b, t, peers), true
	case "orchestrator":
		run(b, t, orchestrators, events.RoleOrchestrator)
		return worker(b, t, orchestrators), true
	}
	return b.Worker(card)
}

// inTable looks the move up; an orchestrator's run is a peer too.
func inTable(table [][4]string, command, as, place string) bool {
	return slices.ContainsFunc(table, func(row [4]string) bool {
		by := strings.Fields(row[1])
		return row[0] == command && slices.Contains(strings.Fields(row[2]), place) &&
			(slices.Contains(by, as) || as == "orchestrator" && slices.Contains(by, "peer"))
	})
}

// special are refusals by what is not in the table: the second run of
// reviewing, and runs that gave their verdict and may report only their end.
func special(c boards.Command, as string, b *boardstest.Board) bool {
	r, open := b.State.OpenRun(card)
	switch c.CommandName() {
	case "stop_run":
		return !open || r.Verdict != 0
	case "start_run", "end_run", "refuse_calls":
		return false
	}
	return as == "run" && open && r.Verdict != 0
}
