package events

import (
	"encoding/hex"

	"github.com/go-json-experiment/json"
)

// Descriptions of the record and of the payloads that make up most of a log.
// The others go through their struct tags; a test holds that both ways agree.

// walkHead describes a record's members before its payload, up to the name of
// data; walkTail the ones after.
func (r *Record) walkHead(w *wire, typ *Type, version *uint32) {
	w.open()
	whole(w, "seq", &r.Seq, required)
	w.ulid("id", &r.ID)
	w.time("time", &r.Time, required)
	w.typ("type", typ)
	whole(w, "v", version, required)
	w.task("task", &r.Task, optional)
	w.run("run", &r.Run)
	w.text("tenant", &r.Tenant, optional)
	if w.field("actor", false, required) {
		r.Actor.walk(w)
	}
	w.ulid("cmd", &r.Cmd)
	whole(w, "cause", &r.Cause, optional)
	w.field("data", false, required)
}

func (r *Record) walkTail(w *wire) {
	w.digest("text", &r.Text, optional)
	w.close()
}

// writeText writes a text. Reading one is rare and goes through the struct tags.
func (w *wire) writeText(salt Salt, f *Fields) {
	w.open()
	w.field("salt", false, required)
	w.b = append(w.b, '"')
	w.b = hex.AppendEncode(w.b, salt[:])
	w.b = append(w.b, '"')
	w.field("fields", false, required)
	f.write(w)
	w.close()
}

func (f *Fields) write(w *wire) {
	w.open()
	w.text("title", &f.Title, optional)
	w.text("body", &f.Body, optional)
	w.text("summary", &f.Summary, optional)
	w.text("result", &f.Result, optional)
	w.text("comment", &f.Comment, optional)
	w.text("reason", &f.Reason, optional)
	w.text("answer", &f.Answer, optional)
	w.text("note", &f.Note, optional)
	w.text("evidence", &f.Evidence, optional)
	list(w, "options", &f.Options, (*wire).str)
	list(w, "names", &f.Names, (*wire).str)
	if w.member("metadata", f.Metadata != nil) {
		b, err := json.Marshal(f.Metadata)
		w.fail(err)
		w.b = append(w.b, b...)
	}
	w.close()
}

func (a *Actor) walk(w *wire) {
	w.open()
	word(w, "kind", &a.Kind, actorKindWords, required)
	w.text("name", &a.Name, optional)
	w.text("via", &a.Via, optional)
	w.close()
}

// typ walks the name of an event type; reading takes known ones only.
func (w *wire) typ(name string, v *Type) {
	if !w.field(name, false, required) {
		return
	}
	if w.writing {
		w.writeString(string(*v))
		return
	}
	inner, _ := w.quoted()
	k, ok := production.kinds[Type(inner)]
	if !ok {
		w.fail(errNotCanonical)
		return
	}
	*v = k.name
}

// writeHot writes a payload that is described here, or reports false.
func writeHot(w *wire, payload Payload) bool {
	switch p := payload.(type) {
	case TaskCreated:
		p.walk(w)
	case TaskPromoted:
		p.walk(w)
	case TaskCompleted:
		p.walk(w)
	case RunClaimed:
		p.walk(w)
	case RunStarted:
		p.walk(w)
	case RunEnded:
		p.walk(w)
	default:
		return false
	}
	return true
}

// readHot reads a payload that is described here, or reports false.
func readHot(w *wire, name Type) (Payload, bool) {
	switch name {
	case "task.created":
		var p TaskCreated
		p.walk(w)
		return p, true
	case "task.promoted":
		var p TaskPromoted
		p.walk(w)
		return p, true
	case "task.completed":
		var p TaskCompleted
		p.walk(w)
		return p, true
	case "run.claimed":
		var p RunClaimed
		p.walk(w)
		return p, true
	case "run.started":
		var p RunStarted
		p.walk(w)
		return p, true
	case "run.ended":
		var p RunEnded
		p.walk(w)
		return p, true
	}
	return nil, false
}

func (p *TaskCreated) walk(w *wire) {
	w.open()
	word(w, "status", &p.Status, statusWords, required)
	w.text("assignee", &p.Assignee, optional)
	w.text("reviewer", &p.Reviewer, optional)
	whole(w, "priority", &p.Priority, optional)
	list(w, "parents", &p.Parents, walkEdge)
	if w.member("workspace", p.Workspace != Workspace{}) {
		p.Workspace.walk(w)
	}
	w.time("start_at", &p.StartAt, optional)
	whole(w, "max_runtime_ms", &p.MaxRuntimeMS, optional)
	whole(w, "max_retries", &p.MaxRetries, optional)
	w.text("model", &p.Model, optional)
	list(w, "skills", &p.Skills, (*wire).str)
	w.text("recipe", &p.Recipe, optional)
	w.close()
}

func walkEdge(w *wire, e *Edge) {
	w.open()
	w.task("parent", &e.Parent, required)
	word(w, "needs", &e.Needs, needsWords, required)
	w.close()
}

func (s *Workspace) walk(w *wire) {
	w.open()
	word(w, "kind", &s.Kind, workspaceKindWords, required)
	w.text("path", &s.Path, optional)
	w.text("base", &s.Base, optional)
	w.text("branch", &s.Branch, optional)
	w.close()
}

func (p *TaskPromoted) walk(w *wire) {
	w.open()
	word(w, "to", &p.To, statusWords, required)
	list(w, "waived", &p.Waived, (*wire).bareTask)
	w.close()
}

func (p *TaskCompleted) walk(w *wire) {
	w.open()
	word(w, "verdict", &p.Verdict, verdictWords, required)
	list(w, "artifacts", &p.Artifacts, walkArtifact)
	list(w, "created", &p.Created, (*wire).bareTask)
	w.close()
}

func walkArtifact(w *wire, a *Artifact) {
	w.open()
	w.digest("sha256", &a.SHA256, required)
	whole(w, "size", &a.Size, required)
	w.close()
}

func (p *RunClaimed) walk(w *wire) {
	w.open()
	word(w, "phase", &p.Phase, statusWords, required)
	w.text("agent", &p.Agent, required)
	word(w, "role", &p.Role, roleWords, required)
	w.digest("token", &p.Token, optional)
	whole(w, "policy", &p.Policy, required)
	if w.field("facts", false, required) {
		p.Facts.walk(w)
	}
	w.run("continues", &p.Continues)
	whole(w, "expires_ms", &p.ExpiresMS, optional)
	w.text("backend", &p.Backend, optional)
	w.text("runtime", &p.Runtime, optional)
	w.text("model", &p.Model, optional)
	if w.member("allowed", p.Allowed != Amount{}) {
		p.Allowed.walk(w)
		w.settle(p.Allowed == Amount{}, optional)
	}
	w.close()
}

func (a *Amount) walk(w *wire) {
	w.open()
	whole(w, "cost_micros", &a.CostMicros, optional)
	whole(w, "tokens", &a.Tokens, optional)
	w.close()
}

func (f *Facts) walk(w *wire) {
	w.open()
	whole(w, "host_slots", &f.HostSlots, required)
	whole(w, "order", &f.Order, optional)
	w.close()
}

func (p *RunStarted) walk(w *wire) {
	w.open()
	w.text("boot", &p.Boot, required)
	whole(w, "pid", &p.PID, required)
	whole(w, "start_time", &p.StartTime, required)
	whole(w, "pid_ns", &p.PIDNS, optional)
	w.text("cgroup", &p.Cgroup, optional)
	w.close()
}

func (p *RunEnded) walk(w *wire) {
	w.open()
	word(w, "outcome", &p.Outcome, outcomeWords, required)
	word(w, "to", &p.To, statusWords, optional)
	w.flag("gave_up", &p.GaveUp)
	whole(w, "failures", &p.Failures, optional)
	whole(w, "no_verdicts", &p.NoVerdicts, optional)
	whole(w, "losses", &p.Losses, optional)
	w.time("retry_at", &p.RetryAt, optional)
	if w.member("exit", p.Exit != nil) {
		if p.Exit == nil {
			p.Exit = new(int32)
		}
		integer(w, p.Exit)
	}
	whole(w, "signal", &p.Signal, optional)
	whole(w, "ran_ms", &p.RanMS, required)
	if w.member("usage", p.Usage != Usage{}) {
		p.Usage.walk(w)
		w.settle(p.Usage == Usage{}, optional)
	}
	list(w, "egress", &p.Egress, walkEgress)
	w.digest("transcript", &p.Transcript, optional)
	w.flag("kept", &p.Kept)
	w.close()
}

func (u *Usage) walk(w *wire) {
	w.open()
	w.text("model", &u.Model, optional)
	whole(w, "tokens_in", &u.TokensIn, optional)
	whole(w, "tokens_out", &u.TokensOut, optional)
	whole(w, "tokens_cache", &u.TokensCache, optional)
	whole(w, "cost_micros", &u.CostMicros, optional)
	w.text("currency", &u.Currency, optional)
	w.text("source", &u.Source, optional)
	w.close()
}

func walkEgress(w *wire, e *Egress) {
	w.open()
	w.text("host", &e.Host, required)
	whole(w, "requests", &e.Requests, optional)
	whole(w, "bytes_out", &e.BytesOut, optional)
	whole(w, "bytes_in", &e.BytesIn, optional)
	whole(w, "refused", &e.Refused, optional)
	w.close()
}
