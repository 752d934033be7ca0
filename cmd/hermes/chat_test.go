package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/chat/chattest"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// parlour is a home with two boards, of which a chat has the first.
type parlour struct {
	t    testing.TB
	home *registry.Home
	acme *owner.Owner
	beta *owner.Owner
	next int
}

func newParlour(t testing.TB) *parlour {
	t.Helper()
	home, err := registry.OpenHome(t.TempDir(), &registry.HomeOptions{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { home.Close() })
	p := &parlour{t: t, home: home}
	for slug, b := range map[string]**owner.Owner{"acme": &p.acme, "beta": &p.beta} {
		*b, err = owner.Create(t.Context(), home, slug, slug, events.DefaultPolicy(4), boardstest.Kai, owner.Options{Version: "test"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*b).Close() })
	}
	return p
}

func (p *parlour) call(role chat.Role, update string) *chat.Call {
	return &chat.Call{By: boards.Principal{Actor: events.Actor{Kind: events.Human, Name: "Kai", Via: "telegram"}}, Role: role, Board: "acme",
		To: events.Destination{Platform: "telegram", Chat: "7001"}, Update: update, Width: 48}
}

// says runs a line as a call, on acme.
func (p *parlour) says(c *chat.Call, line string) (out, words string, code int) {
	p.t.Helper()
	argv, err := chat.Split(line)
	if err != nil {
		p.t.Fatal(err)
	}
	seat, err := chat.Sit(p.t.Context(), p.acme, c)
	if err != nil {
		p.t.Fatal(err)
	}
	return chatExec(p.t.Context(), c, seat, argv)
}

// kai runs a line as an owner under an update of its own.
func (p *parlour) kai(line string) (out, words string, code int) {
	p.t.Helper()
	p.next++
	return p.says(p.call(chat.Owner, fmt.Sprint(p.next)), line)
}

func headOf(t testing.TB, b api.Board) uint64 {
	t.Helper()
	info, err := b.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.Head.Seq
}

func TestChatRunsTheTree(t *testing.T) {
	p := newParlour(t)
	for _, tc := range []struct {
		line, out string
		code      int
	}{
		{`create “Collect prices” —assignee a --priority 5`, "^t1  ready  a\n$", 0},
		{`create report --parent t1`, "^t2  todo", 0},
		{`list`, "Collect pri", 0},
		{`list —status todo`, "t2", 0},
		{`comment t1 "it's dear"`, "^t1", 0},
		{`block t1 "EUR or local?" --option EUR --option local`, "t1 blocked", 0},
		{`why t1`, "EUR or local", 0},
		{`unblock t1 --choice 1`, "t1", 0},
		{`show t1`, "Collect prices", 0},
		{`inbox`, "", 0},
		{`stats`, "", 0},
		{`create --help`, "Usage", 0},
		{`assign t2 b`, "t2", 0},
		{`complete t1 --summary "20 shops"`, "t1 ", 0},
		{`show t9`, "", 3},
	} {
		out, words, code := p.kai(tc.line)
		if code != tc.code || !matches(tc.out, out) {
			t.Errorf("%s: got exit %d\n%s%s\nwant %d and %q", tc.line, code, out, words, tc.code, tc.out)
		}
	}
	d, err := p.acme.Show(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if d.CreatedBy != (events.Actor{Kind: events.Human, Name: "Kai", Via: "telegram"}) || d.Priority != 5 {
		t.Errorf("got %+v", d.Card)
	}
	n, err := p.acme.Notices(t.Context())
	if err != nil || len(n.Subscriptions) != 2 || n.Subscriptions[0].Task != 1 {
		t.Errorf("got subscriptions %+v, %v; want the chat's to both tasks", n.Subscriptions, err)
	}
}

// TestChatRepeats: an update that comes again has its first effect and answer.
func TestChatRepeats(t *testing.T) {
	p := newParlour(t)
	c := p.call(chat.Owner, "77")
	first, _, _ := p.says(c, `create once`)
	head := headOf(t, p.acme)
	again, words, code := p.says(c, `create once`)
	if first != again || code != 0 || headOf(t, p.acme) != head {
		t.Errorf("got %q and %q, exit %d %s, %d more events", first, again, code, words, headOf(t, p.acme)-head)
	}
}

// TestChatRepeatsRelativeTimes: "in 8h" is counted from when it was said, so that
// an update that comes again later means the same.
func TestChatRepeatsRelativeTimes(t *testing.T) {
	p := newParlour(t)
	c := p.call(chat.Owner, "78")
	c.Time = time.Date(2026, 3, 1, 21, 0, 0, 0, time.UTC)
	first, words, code := p.says(c, `create once --at 8h`)
	again, words2, code2 := p.says(c, `create once --at 8h`)
	if first != again || code != 0 || code2 != 0 {
		t.Errorf("got %q, exit %d %s, and then %q, exit %d %s", first, code, words, again, code2, words2)
	}
	d, err := p.acme.Show(t.Context(), 1)
	if want := events.TimeOf(c.Time.Add(8 * time.Hour)); err != nil || d.StartAt != want {
		t.Errorf("it starts at %s, want %s, %v", d.StartAt.Time(), want.Time(), err)
	}
}

// hostileLines are attempts to reach beyond the board, the host's files
// included. path is a file that would give itself away.
func hostileLines(path string) []string {
	lines := []string{
		"create x --body-file " + path, "create x --workspace dir:" + path, "create x -w repo:/etc", "edit t1 --workspace dir:/etc",
		"edit t1 --body-file " + path, "attach t1 " + path, "get t1 -o /tmp", "get t1 --branch --into /etc", "log t1 -f", "log t1", "watch", "tail t1",
		"list -A", "stats -A", "inbox -A", "list --all-boards", "list --board beta", "list -b beta", "--board beta list", "list --board=beta",
		"list --home /", "--home / list", "list --profile beta", "-p beta list", "show beta/t1", "show BETA/t1", "comment beta/t1 hi", "block t1 x --ids beta/t1",
		"create x --parent beta/t1", "create x --parent beta/t1:any", "diagnostics --task beta/t1", "link beta/t1 t1",
		"boards list", "boards delete beta --yes", "boards rm beta", "dispatch", "gc", "init", "daemon", "recipe list", "recipe run research",
		"recipe validate " + path, "swarm x", "specify t1", "decompose t1", "claim t1", "heartbeat t1", "stop t1 --force", "reclaim t1 --force",
		"complete t1 --force", "notify-subscribe t1", "assignees", "context t1 --board beta", "../board list", "worker show", "gateway stop", "config list",
		"demo", "runner", "--version", "-h --board beta", "create x --created-by root", "unblock t1 --home /",
	}
	return lines
}

// TestChatStaysOnItsBoard: no line reaches another board, another home, a file
// of the host or the program's other parts; forbidden and unknown are answered
// alike.
func TestChatStaysOnItsBoard(t *testing.T) {
	p := newParlour(t)
	const canary = "CANARY-7f3a"
	path := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(path, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := p.beta.Do(t.Context(), boardstest.Kai, owner.NewCommandID(), boards.CreateTasks{Tasks: []boards.NewTask{{Title: canary, Body: canary, Assignee: "canary"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, words, code := p.kai("create x"); code != 0 {
		t.Fatal(words)
	}
	acme, beta := headOf(t, p.acme), headOf(t, p.beta)
	for _, line := range hostileLines(path) {
		out, words, code := p.kai(line)
		if code == 0 || strings.Contains(out+words, canary) {
			t.Errorf("%s: got exit %d\n%s%s", line, code, out, words)
		}
		_, words2, code2 := p.kai(strings.NewReplacer("beta", "nope", "BETA", "NOPE").Replace(line))
		if code != code2 || words != strings.NewReplacer("nope", "beta", "NOPE", "BETA").Replace(words2) {
			t.Errorf("%s: got exit %d, %q; where there is no such board %d, %q", line, code, words, code2, words2)
		}
	}
	if headOf(t, p.acme) != acme || headOf(t, p.beta) != beta {
		t.Errorf("got %d and %d events", headOf(t, p.acme)-acme, headOf(t, p.beta)-beta)
	}
}

// TestChatTenant: on a route with a tenant the others are not there, and
// forbidden is answered like unknown.
func TestChatTenant(t *testing.T) {
	t.Parallel()
	p := newParlour(t)
	const canary = "CANARY-91c2"
	_, err := p.acme.Do(t.Context(), boardstest.Kai, owner.NewCommandID(), boards.CreateTasks{Tasks: []boards.NewTask{
		{Title: canary, Body: canary, Tenant: "beta", Assignee: canary[:6]}, {Title: "mine", Tenant: "acme"}}})
	if err != nil {
		t.Fatal(err)
	}
	p.acme.Do(t.Context(), boardstest.Kai, owner.NewCommandID(), boards.BlockTask{Task: 1, Reason: canary, Options: []string{canary}})
	says := func(line string) (string, string, int) {
		p.next++
		c := p.call(chat.Owner, fmt.Sprint(p.next))
		c.Tenant = "acme"
		return p.says(c, line)
	}
	for verb := range chat.Table {
		for _, args := range []string{"t1", "t1 x", "t1 --tenant beta", "t1 t2", "t2 t1", "--tenant beta", "--assignee canary", "--task t1", "x --parent t1", "--archived", "--json"} {
			line := verb + " " + args
			out, words, code := says(line)
			if strings.Contains(out+words, canary) {
				t.Errorf("%s: got\n%s%s", line, out, words)
			}
			if verb != "create" && !strings.Contains(args, "t2") && strings.Contains(args, "t1") {
				_, words9, code9 := says(strings.ReplaceAll(line, "t1", "t9"))
				if code != code9 || words != strings.ReplaceAll(words9, "t9", "t1") {
					t.Errorf("%s: got exit %d %q; for a task that is not there %d %q", line, code, words, code9, words9)
				}
			}
		}
	}
	d, err := p.acme.Show(t.Context(), 1)
	if err != nil || d.Status != events.Blocked || d.Title != canary || len(d.Comments) > 0 {
		t.Errorf("the other tenant's task was changed: %+v, %v", d.Card, err)
	}
	for _, line := range []string{"create made", "list", "show t2", "why t2", "inbox", "runs t2", "attachments t2", "stats"} {
		if out, words, code := says(line); code != 0 {
			t.Errorf("%s: got exit %d\n%s%s", line, code, out, words)
		}
	}
}

// TestChatUnknownVerbs: whatever is typed, the program goes on. 32 trees work at
// once.
func TestChatUnknownVerbs(t *testing.T) {
	t.Parallel()
	p := newParlour(t)
	var lines [][]string
	eachCommand(Tree(Env{}).Commands, nil, func(path []string, _ *cli.Command) {
		lines = append(lines, path, append(slices.Clone(path), "--no-such-flag"), append(slices.Clone(path), "nonsense", "--help"))
		if path[0] == "kanban" && len(path) > 1 {
			lines = append(lines, path[1:], append(slices.Clone(path[1:]), "--no-such-flag"))
		}
	})
	lines = append(lines, []string{""}, []string{"--"}, []string{"-"}, []string{"creat", "x"}, []string{"\x00"}, []string{"kanban"})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			c := p.call(chat.Viewer, fmt.Sprintf("v%d", i))
			seat, err := chat.Sit(t.Context(), p.acme, c)
			if err != nil {
				t.Error(err)
				return
			}
			for k, argv := range lines {
				if (k+i)%8 == 0 {
					if out, words, _ := chatExec(t.Context(), c, seat, argv); out+words == "" {
						t.Errorf("%q: got no answer", argv)
					}
				}
			}
		})
	}
	wg.Wait()
	if _, words, _ := p.kai("creat x"); !strings.Contains(words, "did you mean /kanban create?") {
		t.Errorf("got %q, want the nearest verb", words)
	}
	if _, words, _ := p.kai("create x --assinee a"); !strings.Contains(words, "did you mean --assignee?") {
		t.Errorf("got %q, want the nearest flag", words)
	}
}

// TestChatEndToEnd: the chat of a profile over real HTTP, with the real tree.
func TestChatEndToEnd(t *testing.T) {
	t.Parallel()
	tg, p := chattest.NewTelegram(t), newParlour(t)
	run := startChat(t, tg, p, 0)
	kai := chattest.User{ID: 7001, First: "Kai"}
	tg.Say(kai, chattest.Private(kai), `/kanban create "x" --assignee a`)
	tg.Await(t, "an answer", func() bool { return len(tg.Sent()) == 1 })
	if got := tg.Sent()[0].Text; !strings.Contains(got, "t1  ready  a") || !strings.HasSuffix(got, "acme 4") {
		t.Errorf("got %q", got)
	}
	const tasks = 300 // more than messages can hold
	for i := range tasks {
		tg.Say(kai, chattest.Private(kai), fmt.Sprintf(`/kanban create "task number %d, with a title of some length"`, i))
		if i%50 == 49 {
			tg.Await(t, "the answers so far", func() bool { return tg.Count() == i+2 })
		}
	}
	tg.Say(kai, chattest.Private(kai), "/kanban list")
	tg.Await(t, "the list", func() bool { return tg.Count() == tasks+2 })
	if last := tg.Sent()[tasks+1]; last.File != "list.txt" || !bytes.Contains(last.Data, fmt.Appendf(nil, "t%d ", tasks+1)) {
		t.Errorf("got %q, file %q of %d bytes", last.Text, last.File, len(last.Data))
	}
	run()
	if wrong := tg.Wrong(); len(wrong) > 0 {
		t.Errorf("a real server would have refused %q", wrong)
	}
}

// startChat runs the chat of a profile until the function it returns is called.
func startChat(t testing.TB, tg *chattest.Telegram, p *parlour, perMinute int) (stop func()) {
	t.Helper()
	prof := &profile.Profile{Name: "default", Dir: t.TempDir()}
	prof.Config.Board = "acme"
	prof.Config.Telegram.Server = tg.URL
	prof.Config.Chat.RatePerMin = max(perMinute, 1<<20)
	for id := range 200 {
		prof.Config.Telegram.Allow = append(prof.Config.Telegram.Allow, profile.Person{ID: fmt.Sprint(7001 + id), Role: "owner"})
	}
	secrets := &profile.Secrets{}
	if err := secrets.Set(prof.Config.Telegram.TokenName(), profile.NewSecret(tg.Token)); err != nil {
		t.Fatal(err)
	}
	shared := t.TempDir()
	as := &gatewayProfile{Profile: prof, home: p.home, log: zerolog.Nop(), getenv: func(name string) string {
		return map[string]string{"HERMES_SHARED_DIR": shared}[name]
	}}
	v, err := as.newVoice(prof, secrets, nil)
	if err == nil {
		err = v.bot.take()
	}
	if err != nil {
		t.Fatal(err)
	}
	part := &chatPart{home: p.home, profile: func() *profile.Profile { return prof }, warn: func(err error) { t.Log(err) }, held: func(slug string) api.Board {
		if slug == "acme" {
			return p.acme
		}
		return nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- part.run(ctx, v) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkChatCreate is a command from a chat: from the update to the answer at
// the platform, without a network.
func BenchmarkChatCreate(b *testing.B) {
	tg, p := chattest.NewTelegram(b), newParlour(b)
	defer startChat(b, tg, p, 0)()
	kai := chattest.User{ID: 7001, First: "Kai"}
	var took []time.Duration
	sent := 0
	for b.Loop() {
		start := time.Now()
		tg.Say(kai, chattest.Private(kai), `/kanban create "A task with a title" --assignee a`)
		sent++
		tg.Await(b, "the answer", func() bool { return tg.Count() == sent })
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// TestChatLoad: a thousand updates a second for ten seconds, or as many as
// HERMES_CHAT_SECONDS says, are all carried out and answered.
func TestChatLoad(t *testing.T) {
	seconds := 0
	fmt.Sscan(os.Getenv("HERMES_CHAT_SECONDS"), &seconds)
	if seconds == 0 {
		t.Skip("HERMES_CHAT_SECONDS is not set")
	}
	tg, p := chattest.NewTelegram(t), newParlour(t)
	stop := startChat(t, tg, p, 0)
	const rate = 1000
	start := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	n := 0
	for n < seconds*rate {
		<-tick.C
		for want := min(seconds*rate, int(time.Since(start).Seconds()*rate)); n < want; n++ {
			who := chattest.User{ID: int64(7001 + n%200), First: "Kai"}
			tg.Say(who, chattest.Private(who), fmt.Sprintf("/kanban create n%d", n))
		}
	}
	offered := time.Since(start)
	tg.Await(t, "every answer", func() bool { return tg.Count() >= n })
	t.Logf("%d updates offered in %s, all answered after %s", n, offered.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	stop()
	made := 0
	for from := uint64(1); ; {
		entries, err := p.acme.Read(t.Context(), from, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			r, err := events.Decode(e.Record)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := r.Data.(events.TaskCreated); ok {
				made++
			}
			from = e.Seq + 1
		}
	}
	if made != n || tg.Count() != n {
		t.Errorf("got %d tasks and %d answers of %d updates", made, tg.Count(), n)
	}
}
