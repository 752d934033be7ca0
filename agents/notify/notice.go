package notify

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// MaxLine bounds what is quoted of a summary, a question or a title, in bytes.
const MaxLine = 600

// Notice is what a destination is told: about one event, or about several. All
// prose in it is plain, without control characters.
type Notice struct {
	Board string        // slug
	Name  string        // the board's title, or its slug
	Seq   uint64        // position of the event; of several, that of the last
	Time  events.Time   // of the event
	Kind  Kind          //
	Task  events.TaskID // 0 where the event is about none
	Title string        // of the task
	Agent string        // who asks, did it, or is held
	Run   events.RunID

	Line     string   // first line of the summary, the question or the reason
	Options  []string // answers that are offered, in order; a choice is its place from 1
	NeedsYou bool     // it waits for a person now
	Over     bool     // it waited for a person and does so no more
	Done     uint32   // progress, where the agent counts it
	Total    uint32
	Spent    string // what the task has cost so far; empty = nothing
	Budget   string // how much is spent of which; empty = it is about no budget
	Files    []projections.ArtifactRow
	HoldsUp  []events.TaskID // tasks that wait for this one
	Next     string          // what to type; empty where nothing is to be done

	Token  string // what its buttons carry, at most 26 bytes; empty = it has none
	Again  bool   // the answer to an earlier sending of the same was lost
	Remind bool   // it was told before and still waits

	Items  []Item  // Several: what it tells, oldest first
	Digest *Digest // Morning
	Event  []byte  // the event as CloudEvents 1.0 JSON; nil where it is not about one
}

// Item is one of several things that are told together.
type Item struct {
	Seq   uint64
	Time  events.Time
	Task  events.TaskID
	Kind  Kind
	Title string
	Over  bool // it waited for a person and does so no more
}

func (n *Notice) item() Item {
	return Item{n.Seq, n.Time, n.Task, n.Kind, first(n.Budget, n.Title), n.Over}
}

// Facts is what the board knows at the time of telling.
type Facts struct {
	Board, Name string
	Detail      *projections.Detail // of the event's task; nil = it has none
	Why         projections.Why     // of the same
	Currency    string
}

// Build makes the notice of an event that [KindOf] has a kind for. It is pure.
func Build(e *projections.Entry, f Facts) Notice {
	r := &e.Record
	n := Notice{Board: f.Board, Name: plainLine(f.Name), Seq: r.Seq, Time: r.Time, Kind: KindOf(r), Task: r.Task, Run: r.Run}
	if n.Name == "" {
		n.Name = f.Board
	}
	if r.Actor.Kind == events.Worker {
		n.Agent = r.Actor.Name
	}
	if e.Fields != nil {
		n.Line = firstLine(said(r.Data, e.Fields))
		for _, o := range e.Fields.Options {
			n.Options = append(n.Options, plainLine(o))
		}
	}
	if p, ok := r.Data.(events.AgentHeld); ok {
		n.Agent, n.NeedsYou, n.Next = p.Agent, p.Until == 0, "hermes agent release "+p.Agent
	}
	if f.Detail != nil {
		n.ofTask(e, f)
	}
	if p, ok := r.Data.(events.BudgetReached); ok {
		n.ofBudget(r, p)
	}
	return n
}

// said picks the words that matter of an event's text.
func said(p events.Payload, f *events.Fields) string {
	switch p.(type) {
	case events.TaskCompleted, events.TaskApproved, events.ReviewRequested:
		return first(f.Summary, f.Result)
	case events.RunEnded, events.AgentHeld, events.PlanFailed:
		return first(f.Reason, lastOf(f.Evidence))
	}
	return first(f.Reason, lastOf(f.Evidence), f.Summary)
}

func (n *Notice) ofTask(e *projections.Entry, f Facts) {
	d := f.Detail
	n.Title, n.HoldsUp, n.Next = plainLine(d.Title), f.Why.Blocks, f.Why.Next
	var micros int64
	for i := range d.Runs {
		run := &d.Runs[i]
		if c := run.Usage.Currency; c == "" || c == f.Currency {
			micros += run.Usage.CostMicros
		}
		if run.Run == n.Run {
			n.Done, n.Total = run.Done, run.Total
			if n.Agent == "" {
				n.Agent = run.Agent
			}
		}
	}
	if micros > 0 {
		n.Spent = projections.Money(micros, f.Currency)
	}
	for _, a := range d.Artifacts {
		if a.Seq == n.Seq && a.Kind == "result" {
			n.Files = append(n.Files, a)
		}
	}
	n.waits(e, d)
}

// waits says whether what the event asks of a person is still asked.
func (n *Notice) waits(e *projections.Entry, d *projections.Detail) {
	asked := true
	switch p := e.Record.Data.(type) {
	case events.TaskBlocked:
		n.NeedsYou = d.Block != nil && d.Block.Seq == n.Seq
	case events.ReviewRequested:
		asked = p.Reviewer == ""
		n.NeedsYou = asked && d.Status == events.Review && d.Handoff != nil && d.Handoff.Seq == n.Seq
	case events.PlanFailed:
		n.NeedsYou = d.Status == events.Triage
	default:
		asked = false
	}
	if n.Over = asked && !n.NeedsYou; n.Over {
		n.Options = nil
	}
}

// Headline says in one line what it is about: "Acme · t7 needs you".
func (n *Notice) Headline() string {
	switch n.Kind {
	case Several:
		return fmt.Sprintf("%s · %d messages that could not be sent before", n.Name, len(n.Items))
	case Morning:
		return n.Digest.headline()
	case AgentHeld:
		return fmt.Sprintf("%s · %s is held and starts nothing", n.Name, n.Agent)
	case BudgetLow, BudgetSpent:
		return n.Name + " · " + n.Budget
	}
	what := happened[n.Kind]
	switch {
	case n.Over:
		what += ", and was settled since"
	case n.Remind:
		what = "still needs you"
	case n.NeedsYou && n.Kind == Blocked:
		what = "needs you"
	case n.NeedsYou:
		what += " and needs you"
	}
	return fmt.Sprintf("%s · %s %s", n.Name, n.Task, what)
}

var happened = map[Kind]string{
	Completed: "is done", Approved: "was approved", Failed: "failed", Blocked: "was blocked", Loop: "blocks again and again",
	GaveUp: "gave up", ReviewRequested: "is up for review", ChangesRequested: "goes back for changes", Crashed: "crashed and is tried again",
	TimedOut: "ran out of time and is tried again", OverBudget: "has spent its budget", PlanFailed: "could not be planned", AgentHeld: "is held",
}

// Body says the rest, in lines; an empty one parts paragraphs.
func (n *Notice) Body() []string {
	switch n.Kind {
	case Several:
		return n.list()
	case Morning:
		return n.Digest.lines()
	}
	var lines []string
	if n.Title != "" {
		lines = append(lines, n.Title)
	}
	if n.Line != "" {
		lines = append(lines, "")
		if n.NeedsYou && n.Kind == Blocked && n.Agent != "" {
			lines = append(lines, n.Agent+" asks:")
		}
		lines = append(lines, n.Line)
	}
	if facts := n.facts(); facts != "" {
		lines = append(lines, "", facts)
	}
	for _, f := range n.Files {
		lines = append(lines, fmt.Sprintf("%s (%s)", plainLine(f.Name), projections.Size(f.Size)))
	}
	if n.Next != "" && (n.NeedsYou || n.Budget != "") {
		lines = append(lines, n.Next)
	}
	if n.Again {
		lines = append(lines, "(sent again: the answer to the first was lost)")
	}
	return lines
}

// facts is one line: "12 of 20 done, $1.92 so far. Holds up t8."
func (n *Notice) facts() string {
	var parts []string
	if n.Total > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d done", n.Done, n.Total))
	}
	if n.Spent != "" {
		parts = append(parts, n.Spent+" so far")
	}
	s := strings.Join(parts, ", ")
	if s != "" {
		s += "."
	}
	if len(n.HoldsUp) > 0 && n.Kind != Completed && n.Kind != Approved {
		s = strings.TrimSpace(s + " Holds up " + projections.And(n.HoldsUp) + ".")
	}
	return s
}

// maxShown is how many of several are named in a message.
const maxShown = 20

func (n *Notice) list() []string {
	var lines []string
	for i, it := range n.Items {
		if i == maxShown {
			lines = append(lines, fmt.Sprintf("and %d more: hermes inbox", len(n.Items)-maxShown))
			break
		}
		what := strings.ReplaceAll(string(it.Kind), "_", " ")
		if it.Over {
			what += ", settled since"
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s (%s)", it.Task, it.Title, what)))
	}
	if n.Again {
		lines = append(lines, "(sent again: the answer to the first was lost)")
	}
	return lines
}

// Footer names board and position: "acme 836".
func (n *Notice) Footer() string {
	if n.Kind == Morning {
		return ""
	}
	return fmt.Sprintf("%s %d", n.Board, n.Seq)
}

// Text is the whole notice as plain text.
func (n *Notice) Text() string {
	parts := append([]string{n.Headline()}, n.Body()...)
	if f := n.Footer(); f != "" {
		parts = append(parts, "", f)
	}
	return strings.Join(parts, "\n")
}

func first(words ...string) string {
	for _, w := range words {
		if strings.TrimSpace(w) != "" {
			return w
		}
	}
	return ""
}

// firstLine returns the first line with anything in it.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(agents.Plain(s)), "\n")
	return plainLine(line)
}

func lastOf(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// plainLine is s on one line, without what a reader would not see, and not too long.
func plainLine(s string) string {
	s = strings.Join(strings.Fields(agents.Plain(s)), " ")
	if len(s) <= MaxLine {
		return s
	}
	cut := MaxLine
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
