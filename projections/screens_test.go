package projections

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hermesboard/hermes/events"
)

// script is a night on a board, told from the outside.
type script struct {
	at      events.Time
	entries []Entry
	v       *View
}

func (s *script) say(task events.TaskID, run uint32, by events.Actor, f *events.Fields, p events.Payload) uint64 {
	s.at += 1_000_000
	r := events.Record{Seq: uint64(len(s.entries) + 1), Time: s.at, Task: task, Actor: by, Data: p}
	if run > 0 {
		r.Run = events.RunID{Task: task, N: run}
	}
	if f != nil {
		r.Text = events.Digest{1}
	}
	s.v.Apply(&r)
	s.entries = append(s.entries, Entry{r, f})
	return r.Seq
}

func (s *script) of(task events.TaskID) []Entry {
	var list []Entry
	for _, e := range s.entries {
		if e.Record.Task == task {
			list = append(list, e)
		}
	}
	return list
}

func (s *script) at2(seqs []uint64) []Entry {
	var list []Entry
	for _, seq := range seqs {
		list = append(list, s.entries[seq-1])
	}
	return list
}

func (s *script) texts(seqs []uint64) Texts {
	t := Texts{}
	for _, seq := range seqs {
		t[seq] = s.entries[seq-1].Fields
	}
	return t
}

var (
	kai        = events.Actor{Kind: events.Human, Name: "kai", Via: "cli"}
	researcher = events.Actor{Kind: events.Worker, Name: "researcher-a"}
	starts     = events.Actor{Kind: events.Dispatcher}
	runner     = events.Actor{Kind: events.System}
)

func night() *script {
	s := &script{at: 1_790_000_000_000_000, v: NewView()}
	policy := events.DefaultPolicy(4)
	s.say(0, 0, kai, &events.Fields{Title: "Acme"}, events.BoardCreated{Slug: "acme"})
	s.say(0, 0, kai, nil, events.PolicyChanged{Policy: policy})
	s.say(1, 0, kai, &events.Fields{Title: "Prices, US"}, events.TaskCreated{Status: events.Ready, Assignee: "researcher-b"})
	s.say(1, 0, kai, &events.Fields{Summary: "all 20 found", Names: []string{"us.csv"}}, events.TaskCompleted{Verdict: events.Pass, Artifacts: []events.Artifact{{Size: 4100}}})
	s.say(2, 0, kai, &events.Fields{Title: "Collect prices", Body: "One row a shop."}, events.TaskCreated{
		Status: events.Ready, Assignee: "researcher-a", Priority: 5, Parents: []events.Edge{{Parent: 1, Needs: events.NeedsPass}}, Skills: []string{"csv"}})
	s.say(3, 0, kai, &events.Fields{Title: "Price report"}, events.TaskCreated{
		Status: events.Todo, Assignee: "writer", Parents: []events.Edge{{Parent: 1, Needs: events.NeedsPass}, {Parent: 2, Needs: events.NeedsPass}}})
	s.say(2, 1, starts, nil, events.RunClaimed{Phase: events.Ready, Agent: "researcher-a", Role: events.RoleWorker, Token: events.Digest{7}, Runtime: "claude", Backend: "docker"})
	s.say(2, 1, starts, nil, events.RunStarted{Boot: "b", PID: 4242, StartTime: 1})
	s.say(2, 1, researcher, &events.Fields{Note: "12 of 20 shops done"}, events.RunHeartbeat{})
	s.say(2, 0, kai, &events.Fields{Comment: "shops.csv has moved"}, events.TaskCommented{})
	s.say(2, 0, kai, &events.Fields{Names: []string{"shops.csv"}}, events.TaskAttached{Artifact: events.Artifact{Size: 900}})
	s.say(2, 1, researcher, &events.Fields{Reason: "EUR or local?", Options: []string{"EUR", "local"}}, events.TaskBlocked{Kind: events.BlockNeedsInput, To: events.Blocked, Options: 2})
	s.say(2, 1, runner, nil, events.RunEnded{Outcome: events.OutcomeBlocked, RanMS: (104 * time.Minute).Milliseconds(), Kept: true,
		Usage:  events.Usage{TokensIn: 200_000, TokensOut: 12_000, CostMicros: 1_920_000, Currency: "USD"},
		Egress: []events.Egress{{Host: "api.anthropic.com", Requests: 9, BytesOut: 1_100_000}, {Host: "pypi.org", Refused: 3}}})
	return s
}

func (s *script) answer() {
	s.say(2, 0, events.Actor{Kind: events.Human, Name: "kai", Via: "telegram"}, nil, events.TaskUnblocked{To: events.Ready, Choice: 1})
	s.say(2, 2, starts, nil, events.RunClaimed{Phase: events.Ready, Agent: "researcher-a", Role: events.RoleWorker, Token: events.Digest{8}, Continues: events.RunID{Task: 2, N: 1}})
	s.say(2, 2, researcher, &events.Fields{Summary: "20 of 20", Names: []string{"prices-eu.csv"}}, events.TaskCompleted{Verdict: events.Pass, Artifacts: []events.Artifact{{Size: 4000}}})
	s.say(3, 0, researcher, nil, events.TaskPromoted{To: events.Ready})
}

func TestTimelineReads(t *testing.T) {
	s := night()
	s.answer()
	var got []string
	for _, e := range s.entries {
		l := Words(e)
		indent := ""
		if l.Indent {
			indent = "  "
		}
		got = append(got, strings.TrimRight(indent+l.Who+" | "+l.What+" | "+l.Aside, " |"))
		for _, more := range l.More {
			got = append(got, "    "+more)
		}
	}
	want := strings.Split(strings.Trim(`
kai, cli | created board acme "Acme"
kai, cli | set the policy | 4 slots, $25.00 a day
kai, cli | created t1 "Prices, US" for researcher-b
kai, cli | completed t1: pass, us.csv (4.1 kB)
    "all 20 found"
kai, cli | created t2 "Collect prices" for researcher-a, priority 5, needs t1 to pass
kai, cli | created t3 "Price report" for writer, needs t1 and t2 to pass
dispatcher | started t2, attempt 1 | researcher-a, claude, docker
dispatcher | t2.1 runs as process 4242
  researcher-a | "12 of 20 shops done"
kai, cli | on t2: "shops.csv has moved"
kai, cli | attached shops.csv (900 B) to t2
  researcher-a | blocked t2, needs input: "EUR or local?" | [EUR] [local]
  run t2.1 | ended: blocked, 1 h 44 m, 212k tokens, $1.92
    sent 1.1 MB to api.anthropic.com, 3 attempts refused (pypi.org)
kai, telegram | answered t2 with choice 1
dispatcher | started t2, attempt 2, goes on from attempt 1 | researcher-a
  researcher-a | completed t2: pass, prices-eu.csv (4 kB)
    "20 of 20"
  researcher-a | t3 is ready
`, "\n"), "\n")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDetailWhileBlocked(t *testing.T) {
	s := night()
	d, ok := s.v.Detail(2)
	if !ok {
		t.Fatal("no such task")
	}
	FillDetail(&d, s.of(2), s.at2(d.Others()))
	if d.Title != "Collect prices" || d.Body != "One row a shop." || len(d.Skills) != 1 || d.CreatedBy != kai {
		t.Errorf("got %+v", d)
	}
	if b := d.Block; b == nil || b.Reason != "EUR or local?" || len(b.Options) != 2 || b.By != researcher {
		t.Errorf("got block %+v", b)
	}
	if len(d.Runs) != 1 || d.Runs[0].Verdict != "blocked" || d.Runs[0].Note != "12 of 20 shops done" || d.Runs[0].PID != 4242 || d.Runs[0].Outcome != events.OutcomeBlocked || d.Run != nil {
		t.Errorf("got runs %+v", d.Runs)
	}
	if len(d.Inputs) != 1 || d.Inputs[0].Title != "Prices, US" || d.Inputs[0].Summary != "all 20 found" || d.Inputs[0].Artifacts[0].Name != "us.csv" {
		t.Errorf("got inputs %+v", d.Inputs)
	}
	if len(d.Comments) != 1 || len(d.Artifacts) != 1 || d.Artifacts[0].Kind != "attachment" || len(d.Events) != 8 {
		t.Errorf("got %d comments, %d artifacts, %d events", len(d.Comments), len(d.Artifacts), len(d.Events))
	}
	items := s.v.Inbox(s.at)
	FillInbox(items, s.texts(InboxTexts(items)))
	want := []InboxItem{{
		Task: 2, Title: "Collect prices", Kind: "needs_input", Agent: "researcher-a", Since: d.Since, Question: "EUR or local?",
		Options: []string{"EUR", "local"}, Blocks: []events.TaskID{3}, Settle: `hermes kanban unblock t2 "EUR"`, TitleAt: 5, TextAt: 12,
	}}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Error(diff)
	}
}

func TestDetailAfterTheAnswer(t *testing.T) {
	s := night()
	s.answer()
	d, _ := s.v.Detail(2)
	FillDetail(&d, s.of(2), s.at2(d.Others()))
	if d.Answer == nil || d.Answer.Body != "EUR" || len(d.Comments) != 2 || d.Block != nil {
		t.Errorf("got answer %+v, %d comments", d.Answer, len(d.Comments))
	}
	if h := d.Handoff; h == nil || h.Summary != "20 of 20" || h.Artifacts[0].Name != "prices-eu.csv" || h.Agent != "researcher-a" || h.Verdict != events.Pass {
		t.Errorf("got hand-off %+v", h)
	}
	if d.Card.Run == nil || d.Card.Run.Run.N != 2 || d.Card.Run.Summary != "20 of 20" || d.Runs[1].Continues.N != 1 {
		t.Errorf("got run %+v", d.Card.Run)
	}
	cards := s.v.List(ListQuery{Sort: "title", Limit: 2}, nil)
	cards = FillCards(cards, ListQuery{Sort: "title", Limit: 2}, s.texts(CardTexts(cards)))
	if len(cards) != 2 || cards[0].Title != "Collect prices" || cards[1].Title != "Price report" {
		t.Errorf("got %+v", cards)
	}
}

func TestErasedReadsSo(t *testing.T) {
	s := night()
	for i := range s.entries {
		s.entries[i].Fields = nil
	}
	d, _ := s.v.Detail(2)
	FillDetail(&d, s.of(2), s.at2(d.Others()))
	for what, got := range map[string]string{
		"title": d.Title, "body": d.Body, "block": d.Block.Reason, "comment": d.Comments[0].Body,
		"artifact": d.Artifacts[0].Name, "input": d.Inputs[0].Summary, "note": d.Runs[0].Note,
	} {
		if got != erased {
			t.Errorf("%s: got %q, want %q", what, got, erased)
		}
	}
	if got := Words(s.entries[4]).What; !strings.HasPrefix(got, "created t2 (erased) for researcher-a") {
		t.Errorf("got %s", got)
	}
}

func TestWordsForNumbers(t *testing.T) {
	for got, want := range map[string]string{
		Span(400 * time.Millisecond): "0.4 s", Span(12 * time.Second): "12 s", Span(59*time.Minute + 3*time.Second): "59 m 3 s",
		Span(26 * time.Hour): "26 h", Span(50 * time.Hour): "2 d 2 h", Span(-time.Second): "0 s",
		Size(999): "999 B", Size(1000): "1 kB", Size(4096): "4.1 kB", Size(1_100_000): "1.1 MB", Size(12_000_000): "12 MB", Size(999_950): "1 MB",
		Many(950): "950", Many(999_400): "999k", Many(212_000): "212k", Many(3_400_000): "3.4M",
		Money(1_920_000, "USD"): "$1.92", Money(3_500_000, "CHF"): "3.50 CHF", Money(1, "EUR"): "€0.00",
		Quote("a\n\tb\x1b[31m"): `"a b [31m"`,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
