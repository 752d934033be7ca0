package projections

import (
	"fmt"
	"strings"
	"time"

	"github.com/hermesboard/hermes/events"
)

// Line is one record in plain words.
type Line struct {
	Who    string   // "kai, cli", "dispatcher", an agent's name, "run t7.1"
	What   string   // what happened
	Aside  string   // how, to be set apart on the same line; may be empty
	More   []string // further lines
	Indent bool     // said by a run: to be set in
}

// Words puts an entry into words. It has some for every event.
func Words(e Entry) Line {
	r := &e.Record
	l := Line{Who: who(r.Actor), Indent: r.Actor.Kind == events.Worker}
	if !l.board(&e) && !l.card(&e) && !l.course(&e) && !l.attempt(&e) {
		l.What = string(r.Data.Type())
	}
	return l
}

func who(a events.Actor) string {
	name := a.Name
	if name == "" || a.Kind == events.Dispatcher {
		name = a.Kind.String()
	}
	if a.Via != "" {
		name += ", " + a.Via
	}
	return name
}

func reason(f *events.Fields) string  { return f.Reason }
func title(f *events.Fields) string   { return f.Title }
func summary(f *events.Fields) string { return f.Summary }

// because appends what somebody gave as a reason.
func (e *Entry) because(what string) string { return e.with(what, reason) }

// with appends one of the text's fields, quoted, after a colon.
func (e *Entry) with(what string, field func(*events.Fields) string) string {
	if s := e.say(field); s != "" {
		return what + ": " + Quote(s)
	}
	return what
}

// board says the events about the board.
func (l *Line) board(e *Entry) bool {
	switch p := e.Record.Data.(type) {
	case events.BoardCreated:
		l.What = "created board " + p.Slug
		if t := e.say(title); t != "" {
			l.What += " " + Quote(t)
		}
	case events.BoardRenamed:
		l.What = "renamed the board " + Quote(e.say(title))
	case events.BoardAccepted:
		l.What = "accepted the board as it is (" + strings.ReplaceAll(p.Problem, "_", " ")
		if p.MissingTo != 0 {
			l.What += fmt.Sprintf(", events %d to %d are gone", p.MissingFrom, p.MissingTo)
		}
		l.What = e.because(l.What + ")")
	case events.BoardPaused:
		l.What = "paused the board"
		if p.Drain {
			l.What = "let the board drain"
		}
		l.What = e.because(l.What)
	case events.BoardResumed:
		l.What = e.because("resumed the board")
	case events.PolicyChanged:
		l.What = e.because("set the policy")
		l.Aside = policyWords(p.Policy)
	case events.AgentHeld:
		l.What = fmt.Sprintf("held %s (%s)", p.Agent, plain(p.Cause))
		if p.Until != 0 {
			l.What += " until " + stamp(p.Until)
		}
		l.What = e.because(l.What)
	case events.AgentReleased:
		l.What = e.because("released " + p.Agent)
	case events.SubscriptionAdded:
		l.What = "subscribed " + DestinationName(p.To) + " to " + e.about(p.Agent)
	case events.SubscriptionRemoved:
		l.What = "unsubscribed " + DestinationName(p.To) + " from " + e.about(p.Agent)
	case events.NotifySent:
		l.What = fmt.Sprintf("told %s of event %d", DestinationName(p.To), p.Of)
	case events.NotifyDead:
		l.What = e.because(fmt.Sprintf("gave up telling %s of event %d after %d tries", DestinationName(p.To), p.Of, p.Tries))
	case events.NotifyRetried:
		l.What = fmt.Sprintf("asked for %s to be told of event %d after all", DestinationName(p.To), p.Of)
	case events.BudgetReached:
		l.What = SayBudget(&e.Record, p)
	case events.CallRefused:
		l.What = fmt.Sprintf("refused %d calls of %s: %s", p.Count, e.Record.Run, strings.ReplaceAll(p.Code, "_", " "))
	default:
		return false
	}
	return true
}

// about says what a subscription is to.
func (e *Entry) about(agent string) string {
	switch {
	case e.Record.Task != 0:
		return e.Record.Task.String()
	case agent != "":
		return "the tasks of " + agent
	case e.Record.Tenant != "":
		return "the tasks of tenant " + e.Record.Tenant
	}
	return "the board"
}

func policyWords(p events.Policy) string {
	words := []string{fmt.Sprintf("%d slots", p.HostSlots)}
	if p.BoardCap > 0 {
		words = append(words, fmt.Sprintf("%d at once on this board", p.BoardCap))
	}
	if p.Budget.BoardDay > 0 {
		words = append(words, Money(p.Budget.BoardDay, p.Currency)+" a day")
	}
	return strings.Join(words, ", ")
}

// card says the events that make or change a task without moving it.
func (l *Line) card(e *Entry) bool {
	id := e.Record.Task.String()
	switch p := e.Record.Data.(type) {
	case events.TaskCreated:
		l.What = created(e, p)
	case events.TaskEdited:
		l.What = "edited " + id + edits(p)
	case events.TaskAssigned:
		l.What = "gave " + id + " to " + p.Assignee
		if p.Assignee == "" {
			l.What = "took " + id + " from its assignee"
		}
	case events.TaskPrioritized:
		l.What = fmt.Sprintf("set the priority of %s to %d", id, p.Priority)
	case events.TenantChanged:
		l.What = "set the tenant of " + id + " to " + orNone(p.Tenant)
	case events.ModelChanged:
		l.What = "set the model of " + id + " to " + orNone(p.Model)
	case events.TaskLinked:
		l.What = fmt.Sprintf("%s now needs %s", id, edges([]events.Edge{{Parent: p.Parent, Needs: p.Needs}}))
	case events.TaskUnlinked:
		l.What = fmt.Sprintf("%s no longer needs %s", id, p.Parent)
	case events.TaskCommented:
		l.What = "on " + id + ": " + Quote(e.say(func(f *events.Fields) string { return f.Comment }))
	case events.TaskAttached:
		l.What = fmt.Sprintf("attached %s (%s) to %s", e.nameOf(0), Size(p.Artifact.Size), id)
	case events.TaskDetached:
		l.What = fmt.Sprintf("took back the attachment of event %d from %s", p.Attachment, id)
	default:
		return false
	}
	return true
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// created says `created t7 "Collect prices" for researcher-a, priority 5, needs t3 to pass`.
func created(e *Entry, p events.TaskCreated) string {
	s := "created " + e.Record.Task.String() + " " + Quote(e.say(title))
	if p.Assignee != "" {
		s += " for " + p.Assignee
	}
	if p.Priority != 0 {
		s += fmt.Sprintf(", priority %d", p.Priority)
	}
	if len(p.Parents) > 0 {
		s += ", needs " + edges(p.Parents)
	}
	switch {
	case p.Status == events.Triage:
		s += ", a rough idea"
	case p.Status == events.Blocked:
		s += ", blocked"
	case p.StartAt != 0:
		s += ", not before " + stamp(p.StartAt)
	}
	if e.Record.Tenant != "" {
		s += ", tenant " + e.Record.Tenant
	}
	return s
}

// edges says "t3 and t4 to pass, t5 to end".
func edges(list []events.Edge) string {
	var pass, end []events.TaskID
	for _, e := range list {
		if e.Needs == events.NeedsAny {
			end = append(end, e.Parent)
		} else {
			pass = append(pass, e.Parent)
		}
	}
	var parts []string
	if len(pass) > 0 {
		parts = append(parts, And(pass)+" to pass")
	}
	if len(end) > 0 {
		parts = append(parts, And(end)+" to end")
	}
	return strings.Join(parts, ", ")
}

func edits(p events.TaskEdited) string {
	var what []string
	for _, part := range []struct {
		word string
		in   bool
	}{
		{"title", p.Title}, {"text", p.Body}, {"workspace", p.Workspace != nil},
		{"longest run", p.MaxRuntimeMS != nil}, {"retries", p.MaxRetries != nil},
		{"reviewer", p.Reviewer != nil}, {"skills", p.Skills != nil},
	} {
		if part.in {
			what = append(what, part.word)
		}
	}
	if len(what) == 0 {
		return ""
	}
	return ": " + strings.Join(what, ", ")
}

// course says the events that move a task, verdicts among them.
func (l *Line) course(e *Entry) bool {
	id := e.Record.Task.String()
	switch p := e.Record.Data.(type) {
	case events.TaskPromoted:
		l.What = fmt.Sprintf("%s is %s", id, p.To)
		if len(p.Waived) > 0 {
			l.What = fmt.Sprintf("let %s go on without %s", id, And(p.Waived))
		}
		l.What = e.because(l.What)
	case events.TaskDemoted:
		l.What = fmt.Sprintf("%s waits for %s again", id, p.Parent)
	case events.TaskSpecified:
		l.What = "specified " + id
		if t := e.say(title); t != "" {
			l.What += " " + Quote(t)
		}
	case events.TaskDecomposed:
		l.What = e.because(fmt.Sprintf("split %s into %s", id, And(p.Children)))
	case events.PlanFailed:
		l.What = fmt.Sprintf("could not plan %s, attempt %d", id, p.Attempt)
		if p.RetryAt == 0 {
			l.What += ", no more attempts"
		}
	case events.TaskScheduled:
		l.What = "parked " + id
		if p.At != 0 {
			l.What += " until " + stamp(p.At)
		}
		l.What = e.because(l.What)
	case events.TaskBlocked:
		l.What, l.Aside = blocked(e, p)
	case events.TaskUnblocked:
		l.What = unblocked(e, p)
	case events.TaskReopened:
		l.What = "reopened " + id
		if len(p.Stay) > 0 {
			l.What += ", although " + And(p.Stay) + " went on from it"
		}
		l.What = e.because(l.What)
	case events.TaskArchived:
		l.What = e.because("archived " + id)
	default:
		return l.verdict(e)
	}
	return true
}

// verdict says the verdicts that end a task or pass it on.
func (l *Line) verdict(e *Entry) bool {
	id := e.Record.Task.String()
	switch p := e.Record.Data.(type) {
	case events.ReviewRequested:
		l.What = "asked for a review of " + id
		if p.Reviewer != "" {
			l.What = "asked " + p.Reviewer + " to review " + id
		}
		l.What += files(e, p.Artifacts)
		l.More = e.quoted(summary)
	case events.TaskApproved:
		l.What = e.with("approved "+id, summary)
	case events.ChangesAsked:
		l.What = e.because("asked for changes to " + id)
	case events.TaskCompleted:
		l.What = fmt.Sprintf("completed %s: %s%s", id, p.Verdict, files(e, p.Artifacts))
		if p.Verdict == events.Cancelled {
			l.What = "cancelled " + id
		}
		l.More = e.quoted(summary)
	default:
		return false
	}
	return true
}

// quoted returns a field of the text as a line of its own, if it says anything.
func (e *Entry) quoted(field func(*events.Fields) string) []string {
	if s := e.say(field); s != "" {
		return []string{Quote(s)}
	}
	return nil
}

// files says ", prices.csv (4 kB), notes.md (1 kB)".
func files(e *Entry, list []events.Artifact) string {
	var b strings.Builder
	for i, a := range list {
		if i == 4 {
			fmt.Fprintf(&b, " and %d more", len(list)-i)
			break
		}
		fmt.Fprintf(&b, ", %s (%s)", e.nameOf(i), Size(a.Size))
	}
	return b.String()
}

func blocked(e *Entry, p events.TaskBlocked) (what, aside string) {
	what = "blocked " + e.Record.Task.String()
	if p.To != events.Blocked {
		what = "sent " + e.Record.Task.String() + " back to wait for its parents"
	} else if p.Kind != events.BlockPerson {
		what += ", " + plain(p.Kind)
	}
	if e.Fields != nil && len(e.Fields.Options) > 0 {
		aside = "[" + strings.Join(e.Fields.Options, "] [") + "]"
	}
	return e.because(what), aside
}

func unblocked(e *Entry, p events.TaskUnblocked) string {
	id := e.Record.Task.String()
	s := "let " + id + " go on"
	if answer := e.say(func(f *events.Fields) string { return f.Answer }); answer != "" {
		s = "answered " + id + ": " + Quote(answer)
	} else if p.Choice > 0 {
		s = fmt.Sprintf("answered %s with choice %d", id, p.Choice)
	}
	if p.Model != "" {
		s += ", with model " + p.Model
	}
	if p.Fresh {
		s += ", from a clean start"
	}
	return s
}

// attempt says the events about a run.
func (l *Line) attempt(e *Entry) bool {
	r := &e.Record
	switch p := r.Data.(type) {
	case events.RunClaimed:
		l.What, l.Aside = claimed(r, p)
	case events.RunStarted:
		l.What = fmt.Sprintf("%s runs as process %d", r.Run, p.PID)
	case events.RunStopping:
		l.What = fmt.Sprintf("stops %s, attempt %d (%s), then %s", r.Task, r.Run.N, plain(p.Outcome), then(p))
		if p.Force {
			l.What += ", and says that its processes are dead"
		}
		l.What = e.because(l.What)
	case events.RunHeartbeat:
		l.What = heartbeat(e, p)
	case events.RunEnded:
		l.Who, l.Indent = "run "+r.Run.String(), true
		l.What, l.More = ended(e, p)
	default:
		return false
	}
	return true
}

// claimed says `started t7, attempt 2, goes on from attempt 1`.
func claimed(r *events.Record, p events.RunClaimed) (what, aside string) {
	verb := "started"
	if p.Phase == events.Review {
		verb = "started the review of"
	}
	if p.Token == (events.Digest{}) {
		verb = "claimed"
	}
	what = fmt.Sprintf("%s %s, attempt %d", verb, r.Task, r.Run.N)
	if p.Continues != (events.RunID{}) {
		what += fmt.Sprintf(", goes on from attempt %d", p.Continues.N)
	}
	var how []string
	for _, s := range []string{p.Agent, p.Runtime, p.Model, p.Backend} {
		if s != "" {
			how = append(how, s)
		}
	}
	return what, strings.Join(how, ", ")
}

func then(p events.RunStopping) string {
	switch p.Then {
	case events.ThenRetry:
		return "tries again"
	case events.ThenBlock:
		return "blocks it"
	case events.ThenCancel:
		return "cancels it"
	case events.ThenArchive:
		return "archives it"
	case events.ThenComplete:
		return "completes it"
	}
	return "decides"
}

func heartbeat(e *Entry, p events.RunHeartbeat) string {
	count := ""
	switch {
	case p.Total > 0:
		count = fmt.Sprintf("%d of %d", p.Done, p.Total)
	case p.Done > 0:
		count = fmt.Sprintf("%d done", p.Done)
	}
	note := e.say(func(f *events.Fields) string { return f.Note })
	switch {
	case note == "" && count == "":
		return "is alive"
	case note == "":
		return count
	case count == "":
		return Quote(note)
	}
	return Quote(note) + ", " + count
}

// ended says `ended: blocked, 1 h 44 m, 212k tokens, $1.92`.
func ended(e *Entry, p events.RunEnded) (what string, more []string) {
	what = "ended: " + plain(p.Outcome)
	if p.Exit != nil && *p.Exit != 0 {
		what += fmt.Sprintf(", exit %d", *p.Exit)
	}
	if p.Signal != 0 {
		what += fmt.Sprintf(", signal %d", p.Signal)
	}
	what += ", " + Span(time.Duration(p.RanMS)*time.Millisecond)
	if n := p.Usage.TokensIn + p.Usage.TokensOut; n > 0 {
		what += ", " + Many(n) + " tokens"
	}
	if p.Usage.CostMicros > 0 {
		what += ", " + Money(p.Usage.CostMicros, p.Usage.Currency)
	}
	if t := traffic(p.Egress); t != "" {
		more = append(more, t)
	}
	switch {
	case p.GaveUp:
		more = append(more, fmt.Sprintf("gave up on %s", e.Record.Task))
	case p.RetryAt != 0:
		more = append(more, "next attempt not before "+stamp(p.RetryAt))
	}
	return what, append(more, e.quoted(reason)...)
}

// traffic says `sent 1.1 MB to api.anthropic.com, 3 attempts refused (pypi.org)`.
func traffic(list []events.Egress) string {
	var sent, refused []string
	attempts := uint32(0)
	for _, g := range list {
		if g.BytesOut > 0 || g.Requests > 0 {
			sent = append(sent, Size(g.BytesOut)+" to "+g.Host)
		}
		if g.Refused > 0 {
			attempts += g.Refused
			refused = append(refused, g.Host)
		}
	}
	var parts []string
	if len(sent) > 0 {
		parts = append(parts, "sent "+strings.Join(sent, ", "))
	}
	if attempts > 0 {
		parts = append(parts, fmt.Sprintf("%d attempts refused (%s)", attempts, strings.Join(refused, ", ")))
	}
	return strings.Join(parts, ", ")
}
