package projections

import (
	"slices"

	"github.com/hermesboard/hermes/events"
)

// Detail returns what the View knows of a task; false if there is none. The
// rest comes from its history and from its parents' results: see [FillDetail].
func (v *View) Detail(task events.TaskID) (Detail, bool) {
	t := v.Task(task)
	if t == nil {
		return Detail{}, false
	}
	d := Detail{
		Card: v.card(t), Reviewer: t.Reviewer, Implementer: t.Implementer,
		Children: append([]events.TaskID{}, t.Children...), Workspace: t.Workspace,
		StartAt: t.StartAt, RetryAt: t.RetryAt,
		MaxRuntime: t.MaxRuntimeMS, MaxRetries: t.MaxRetries, Model: t.Model,
		Runs: []RunRow{}, Comments: []CommentRow{}, Artifacts: []ArtifactRow{}, Events: []EventRow{},
	}
	slices.Sort(d.Children)
	if b := t.Block; b != nil {
		d.Block = &BlockRow{Kind: b.Kind, Said: b.Said, By: b.By, Since: b.Since, Seq: b.Seq}
	}
	if t.HandoffAt != 0 {
		d.Handoff = v.handoff(t)
	}
	for _, e := range t.Parents {
		d.Edges = append(d.Edges, e.Edge)
		if p := v.Task(e.Parent); p != nil && p.Verdict != 0 && p.HandoffAt != 0 {
			d.Inputs = append(d.Inputs, *v.handoff(p))
		}
	}
	return d, true
}

func (v *View) handoff(t *Task) *Handoff {
	return &Handoff{
		Task: t.ID, Verdict: t.Verdict, Seq: t.HandoffAt, Artifacts: []ArtifactRow{},
		TitleAt: t.TitleAt,
	}
}

// Others returns the positions of the entries of other tasks that [FillDetail]
// needs, ascending: the titles and results of the parents.
func (d *Detail) Others() []uint64 {
	var seqs []uint64
	for _, h := range d.Inputs {
		seqs = append(seqs, h.Seq, h.TitleAt)
	}
	return positions(seqs)
}

// FillDetail fills in prose and history. history is every entry of the task,
// oldest first; others are the entries at d.Others(). An entry that is missing
// is taken as erased.
func FillDetail(d *Detail, history, others []Entry) {
	h := fill{d: d, texts: Texts{}, runs: map[events.RunID]int{}}
	for i := range history {
		h.add(&history[i])
	}
	d.Title = h.texts.title(d.TitleAt)
	if d.Card.Run != nil {
		if i, ok := h.runs[d.Card.Run.Run]; ok {
			d.Card.Run.Note, d.Card.Run.Summary = d.Runs[i].Note, d.Runs[i].Summary
		}
	}
	bySeq := make(map[uint64]*Entry, len(others))
	for i := range others {
		bySeq[others[i].Record.Seq] = &others[i]
		h.texts[others[i].Record.Seq] = others[i].Fields
	}
	for i := range d.Inputs {
		in := &d.Inputs[i]
		in.Title = h.texts.title(in.TitleAt)
		if e := bySeq[in.Seq]; e != nil {
			in.take(e)
		}
	}
	if d.Handoff != nil {
		d.Handoff.Title = d.Title
	}
}

// fill is a Detail on its way through the history.
type fill struct {
	d       *Detail
	texts   Texts
	runs    map[events.RunID]int // place in d.Runs
	options []string             // of the last block
}

func (h *fill) add(e *Entry) {
	r := &e.Record
	d := h.d
	h.texts[r.Seq] = e.Fields
	d.Events = append(d.Events, EventRow{Seq: r.Seq, Time: r.Time, Type: r.Data.Type(), Run: r.Run, Actor: r.Actor, What: Words(*e).What})
	h.run(e)
	switch p := r.Data.(type) {
	case events.TaskCreated:
		d.CreatedBy, d.Skills, d.Recipe = r.Actor, p.Skills, p.Recipe
		h.body(e)
	case events.TaskEdited:
		if p.Skills != nil {
			d.Skills = *p.Skills
		}
		if p.Body {
			h.body(e)
		}
	case events.TaskSpecified:
		if p.Body {
			h.body(e)
		}
	case events.TaskCommented:
		h.comment(e, e.say(func(f *events.Fields) string { return f.Comment }))
	case events.TaskAttached:
		h.artifact(e, 0, p.Artifact, "attachment")
	case events.TaskDetached:
		d.Artifacts = slices.DeleteFunc(d.Artifacts, func(a ArtifactRow) bool { return a.Seq == p.Attachment && a.Kind == "attachment" })
	case events.TaskBlocked:
		h.block(e)
	case events.TaskUnblocked:
		h.answer(e, p)
	case events.ChangesAsked:
		d.Findings = &CommentRow{r.Seq, r.Time, r.Actor, e.say(func(f *events.Fields) string { return f.Reason })}
	case events.ReviewRequested:
		h.result(e, p.Artifacts)
	case events.TaskCompleted:
		h.result(e, p.Artifacts)
	case events.TaskApproved:
		h.result(e, nil)
	}
}

func (h *fill) body(e *Entry) {
	h.d.Body, h.d.BodyAt = e.say(func(f *events.Fields) string { return f.Body }), e.Record.Seq
}

func (h *fill) comment(e *Entry, body string) CommentRow {
	c := CommentRow{e.Record.Seq, e.Record.Time, e.Record.Actor, body}
	h.d.Comments = append(h.d.Comments, c)
	return c
}

func (h *fill) artifact(e *Entry, i int, a events.Artifact, kind string) {
	h.d.Artifacts = append(h.d.Artifacts, artifactRow(e, i, a, kind))
}

func artifactRow(e *Entry, i int, a events.Artifact, kind string) ArtifactRow {
	return ArtifactRow{Name: e.nameOf(i), SHA256: a.SHA256, Size: a.Size, By: e.Record.Actor, Seq: e.Record.Seq, Kind: kind, Index: i}
}

// block keeps what the block in force says, and the options for the answer.
func (h *fill) block(e *Entry) {
	h.options = nil
	if e.Fields != nil {
		h.options = e.Fields.Options
	}
	if b := h.d.Block; b != nil && b.Seq == e.Record.Seq {
		b.Reason, b.Options = e.say(func(f *events.Fields) string { return f.Reason }), h.options
	}
}

// answer is also a comment, if it says anything.
func (h *fill) answer(e *Entry, p events.TaskUnblocked) {
	said := e.say(func(f *events.Fields) string { return f.Answer })
	if c := int(p.Choice); said == "" && c > 0 && c <= len(h.options) {
		said = h.options[c-1]
	}
	if said == "" {
		said = e.say(func(f *events.Fields) string { return f.Note })
	}
	if said != "" {
		c := h.comment(e, said)
		h.d.Answer = &c
	}
}

// result lists the files a verdict names, and fills the hand-off it is.
func (h *fill) result(e *Entry, files []events.Artifact) {
	for i, a := range files {
		h.artifact(e, i, a, "result")
	}
	if d := h.d; d.Handoff != nil && d.Handoff.Seq == e.Record.Seq {
		d.Handoff.take(e)
	}
}

// take fills a hand-off from the entry that is it.
func (h *Handoff) take(e *Entry) {
	r := &e.Record
	h.Time = r.Time
	if r.Actor.Kind == events.Worker {
		h.Agent = r.Actor.Name
	}
	h.Summary = e.say(func(f *events.Fields) string { return f.Summary })
	if e.Fields != nil {
		h.Result, h.Metadata = e.Fields.Result, e.Fields.Metadata
	}
	var files []events.Artifact
	switch p := r.Data.(type) {
	case events.TaskCompleted:
		files = p.Artifacts
	case events.ReviewRequested:
		files = p.Artifacts
	}
	for i, a := range files {
		h.Artifacts = append(h.Artifacts, artifactRow(e, i, a, "result"))
	}
}

// run folds what an entry says about an attempt.
func (h *fill) run(e *Entry) {
	r, d := &e.Record, h.d
	if p, ok := r.Data.(events.RunClaimed); ok {
		h.runs[r.Run] = len(d.Runs)
		d.Runs = append(d.Runs, RunRow{
			Run: r.Run, Agent: p.Agent, Role: p.Role, Phase: p.Phase, Claimed: r.Time, LastSign: r.Time,
			Backend: p.Backend, Runtime: p.Runtime, Continues: p.Continues, Fence: r.Seq,
		})
	}
	i, ok := h.runs[r.Run]
	if !ok {
		return
	}
	run := &d.Runs[i]
	if r.Actor.Kind == events.Worker {
		run.LastSign = r.Time
	}
	verdict := func(word string) {
		run.Verdict, run.VerdictAt = word, r.Seq
		run.Summary = e.say(func(f *events.Fields) string { return f.Summary })
		if word == "blocked" || word == "changes_requested" {
			run.Summary = e.say(func(f *events.Fields) string { return f.Reason })
		}
	}
	switch p := r.Data.(type) {
	case events.RunStarted:
		run.Started, run.PID, run.LastSign = r.Time, p.PID, r.Time
	case events.RunStopping:
		run.Stopping = true
	case events.RunHeartbeat:
		run.Note, run.NoteAt = e.say(func(f *events.Fields) string { return f.Note }), r.Seq
		run.LastSign, run.Done, run.Total = r.Time, p.Done, p.Total
	case events.TaskCompleted:
		verdict(p.Verdict.String())
	case events.TaskBlocked:
		verdict("blocked")
	case events.ReviewRequested:
		verdict("review_requested")
	case events.TaskApproved:
		verdict("approved")
	case events.ChangesAsked:
		verdict("changes_requested")
	case events.RunEnded:
		run.end(e, p)
		if b := d.Block; b != nil && b.Seq == r.Seq {
			b.Reason = run.Evidence
		}
	}
}

func (run *RunRow) end(e *Entry, p events.RunEnded) {
	run.Ended, run.EndAt, run.Stopping = e.Record.Time, e.Record.Seq, false
	run.Outcome, run.Exit, run.Signal = p.Outcome, p.Exit, p.Signal
	run.RanMS, run.Usage, run.Egress = p.RanMS, p.Usage, p.Egress
	run.Evidence = e.say(func(f *events.Fields) string {
		if f.Evidence != "" {
			return f.Evidence
		}
		return f.Reason
	})
}
