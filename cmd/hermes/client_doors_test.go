//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// errand has beta work: its gateway runs an agent that shows the canary in its
// arguments and its output.
func (x *trespass) errand() supervise.Spec {
	x.t.Helper()
	g := x.spawn("--profile", "beta")
	run := filepath.Join(x.home.Paths("beta").Runs, "t4.1")
	eventually(x.t, "beta works", func() bool {
		b, _ := os.ReadFile(filepath.Join(run, supervise.LogFile))
		return g.over() || shows(string(b))
	})
	if g.over() {
		x.t.Fatalf("beta's gateway ended\n%s", g.log)
	}
	spec, err := supervise.ReadSpec(run)
	if err != nil {
		x.t.Fatal(err)
	}
	return spec
}

// socket is where the owner of a board listens.
func (x *trespass) socket(slug string) string {
	x.t.Helper()
	b, err := reach(x.t.Context(), x.home, slug, owner.Options{Version: version()})
	if err != nil {
		x.t.Fatal(err)
	}
	defer b.Close()
	info, err := b.Info(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	socket, err := x.home.SocketPath(info.Board)
	if err != nil {
		x.t.Fatal(err)
	}
	return socket
}

// asRun does at a socket all that a run may, and returns what it was told.
func asRun(ctx context.Context, socket, token string) (told []string) {
	door := api.DialRun(socket, token, version())
	defer door.Close()
	say := func(v any, err error) {
		code := ""
		if err != nil {
			code = explainError(err).Code
		}
		told = append(told, fmt.Sprintf("%+v %v %s", v, err, code))
	}
	for _, task := range []events.TaskID{1, 4, 99} {
		say(door.Show(ctx, task))
		say(door.Do(ctx, owner.NewCommandID(), boards.CommentTask{Task: task, Body: "seen"}))
		say(door.Do(ctx, owner.NewCommandID(), boards.CompleteTask{Task: task}))
	}
	say(door.List(ctx, projections.ListQuery{}))
	say(door.Renew(ctx))
	return told
}

// TestOneClientAtTheDoors: nothing that can be said at the socket of acme's
// board shows anything of beta's. The credential of a run of beta's is worth as
// little there as one that was made up.
func TestOneClientAtTheDoors(t *testing.T) {
	if testing.Short() {
		t.Skip("starts gateways")
	}
	t.Parallel()
	x := newTrespass(t)
	theirs := x.errand().Token
	before := x.must("board", "replay", "beta", "--json")
	acme, made := x.socket("acme"), strings.Repeat("0", len(theirs))
	stolen, invented := asRun(t.Context(), acme, theirs), asRun(t.Context(), acme, made)
	if !slices.Equal(stolen, invented) || shows(strings.Join(stolen, "\n")) {
		t.Errorf("with the credential of another board's run got\n%s\nwant as with one that was made up\n%s", strings.Join(stolen, "\n"), strings.Join(invented, "\n"))
	}
	spoke := 0
	ask := func(path, method, body string) (string, int) {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", acme)
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		q, err := http.NewRequestWithContext(ctx, method, "http://board"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set(api.VersionHeader, version())
		q.Header.Set("Content-Type", "application/json")
		r, err := c.Do(q)
		if err != nil {
			return err.Error(), 0
		}
		defer r.Body.Close()
		spoke++
		b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20)) // a stream of events ends with this process's patience at the latest
		if err != nil {
			t.Fatal(err)
		}
		return string(b), r.StatusCode
	}
	for _, path := range apiPaths(t) {
		if path == "/v1/events" { // goes on for ever, with what read answers
			continue
		}
		for _, body := range []string{`{}`, `{"board":"NAME"}`, `{"slug":"NAME","board":"NAME","profile":"NAME","home":"../NAME"}`, `{"task":"NAME/t1"}`, `{"task":1,"board":"NAME"}`, `{"task":"t1"}`,
			`{"tasks":["NAME/t1"],"tenant":"NAME"}`, `{"by":{"kind":"human","name":"NAME"},"id":"01JD8Z0000000000000000000X","command":"comment_task","data":{"task":"NAME/t1","body":"x"}}`} {
			var got [2]string
			for i, name := range []string{"beta", "bqxz"} {
				at := strings.ReplaceAll(path+"?board=NAME", "NAME", name)
				text, code := ask(at, http.MethodPost, strings.ReplaceAll(body, "NAME", name))
				if shows(text) {
					t.Errorf("%s %s shows the canary:\n%s", at, body, text)
				}
				got[i] = fmt.Sprint(code, " ", changing.ReplaceAllString(alikeText(text), ""))
			}
			if got[0] != got[1] {
				t.Errorf("%s %s: got %q and %q", path, body, got[0], got[1])
			}
		}
	}
	if after := x.must("board", "replay", "beta", "--json"); !strings.HasPrefix(after, before) || strings.Contains(after[len(before):], "comment") {
		t.Errorf("something was done on beta:\n%s", strings.TrimPrefix(after, before))
	}
	if spoke < 200 {
		t.Errorf("the door answered %d times", spoke)
	}
	// Where the socket is beta's own, the same is seen to succeed.
	if told := strings.Join(asRun(t.Context(), x.socket("beta"), theirs), "\n"); !shows(told) {
		t.Errorf("a run does not see its own board, so nothing could have been noticed: %s", told)
	}
}

// changing is what differs from one answer to the next.
var changing = regexp.MustCompile(`"(last_tick|since|seconds|age_ms|now)":[^,}]*`)

// apiPaths are the calls that openapi.yaml lists.
func apiPaths(t *testing.T) (paths []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "boards", "api", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^  (/v1/[a-z_/]+):`).FindAllStringSubmatch(string(b), -1) {
		paths = append(paths, m[1])
	}
	if len(paths) < 15 {
		t.Fatalf("got %v", paths)
	}
	return paths
}

// prowl is an agent that looks for another client wherever it can think of.
// HOME_OF_ALL is the home, BETAS_SOCKET the socket of beta's run.
const prowl = `
for f in HOME_OF_ALL/boards/beta/board.db HOME_OF_ALL/profiles/beta/.env HOME_OF_ALL/profiles/beta/SOUL.md HOME_OF_ALL/given.txt ../../../../boards/beta/board.db; do
  cat "$f"
  ln -s "$f" "$HERMES_OUTPUTS/link-$(basename $f)"
  "$HERMES_BIN" worker attach "$f"
done
cat HOME_OF_ALL/boards/beta/artifacts/*/* HOME_OF_ALL/boards/beta/runs/*/*
ln -s HOME_OF_ALL/profiles/beta "$HERMES_WORKSPACE/beta"
cat "$HERMES_WORKSPACE/beta/.env"
cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\0' '\n' | grep -i 'canar[y]'
for w in "kanban list --board beta" "kanban show beta/t1" "-p beta kanban show t1" "board replay beta" "--home HOME_OF_ALL -p beta kanban show t1" \
  "worker show beta/t1" "worker show t1 --socket BETAS_SOCKET" "worker list --socket BETAS_SOCKET" "worker show t3" "worker comment beta/t1 seen" "worker list"; do
  "$HERMES_BIN" $w
  HERMES_HOME=HOME_OF_ALL HERMES_BOARD=beta HERMES_PROFILE=beta "$HERMES_BIN" $w
done
cd HOME_OF_ALL/profiles/beta && cat .env
"$HERMES_BIN" worker complete "looked" --artifact "$HERMES_OUTPUTS/link-.env"
"$HERMES_BIN" worker complete "looked"
`

// prowlAs has an agent of acme's look for beta in a sandbox, and tells a program
// of acme's what happens.
func (x *trespass) prowlAs(backend string) (deliveries int) {
	x.t.Helper()
	spec := x.errand()
	var mu sync.Mutex
	var heard strings.Builder
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, _ := io.ReadAll(r.Body)
		heard.Write(b)
		deliveries++
		w.WriteHeader(http.StatusNoContent)
	}))
	defer hook.Close()
	dir := filepath.Join(x.dir, "profiles", "acme")
	if err := profile.EditSecrets(dir, func(s *profile.Secrets) error {
		return s.Set("HOOK_SECRET", profile.NewSecret("0123456789abcdef0123456789abcdef"))
	}); err != nil {
		x.t.Fatal(err)
	}
	x.must("-p", "acme", "config", "set", "webhooks", `[{"name": "hook", "url": "`+hook.URL+`", "secret": "HOOK_SECRET"}]`)
	x.must("-p", "acme", "kanban", "notify-subscribe", "--board-wide", "--to", "webhook:hook")
	if err := os.Symlink(filepath.Join(x.dir, "profiles", "beta", "skills"), filepath.Join(dir, "skills", "linked")); err != nil {
		x.t.Fatal(err)
	}
	script := strings.NewReplacer("HOME_OF_ALL", x.dir, "BETAS_SOCKET", filepath.Join(spec.SocketDir, "sock")).Replace(prowl)
	x.must("-p", "acme", "agent", "add", "prowler", "--runtime", "command", "--", "sh", "-c", script)
	x.must("-p", "acme", "config", "set", "terminal.backend", backend)
	x.env = append(x.env, "HERMES_BOARD=acme")
	x.gate.signal(syscall.SIGTERM)
	x.gate.ends(stopWithin)
	x.gate = x.gateway("--profile", "acme")
	id := x.create("prowler")
	x.must("kanban", "create", "there", "--assignee", "prowler", "--workspace", "dir:"+filepath.Join(x.dir, "profiles", "beta"), "--max-retries", "1")
	eventually(x.t, "it has looked", x.done(id))
	eventually(x.t, "a folder of beta's is refused", func() bool { return strings.Contains(x.must("kanban", "why", "t3"), "the folder of another profile") })
	eventually(x.t, "it is told", func() bool { mu.Lock(); defer mu.Unlock(); return deliveries > 0 })
	for _, args := range [][]string{{"log", id}, {"show", id, "--json"}, {"context", id}, {"runs", id, "--json"}, {"why", "t3"}} {
		if text := x.must(append([]string{"kanban"}, args...)...); shows(text) {
			x.note("%v shows the canary:\n%s", args, text)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if shows(heard.String()) {
		x.note("a notification has the canary")
	}
	x.inWhatAcmeHas()
	return deliveries
}

// TestWorkerOfOneClient: an agent of acme's that looks for beta everywhere
// finds nothing in a sandbox. In the one that isolates nothing, it is noticed.
func TestWorkerOfOneClient(t *testing.T) {
	if testing.Short() {
		t.Skip("starts gateways")
	}
	t.Parallel()
	known, err := sandboxes()
	if err != nil {
		t.Fatal(err)
	}
	if box, _ := standardBox(t.Context(), known); box != nil {
		x := newTrespass(t)
		x.prowlAs(box.Name())
		for _, f := range x.found {
			t.Errorf("%s", f)
		}
	} else if os.Getenv("CI") == "true" {
		t.Error("no sandbox works here")
	} else {
		t.Log("no sandbox works here: only the one that isolates nothing is looked at")
	}
	x := newTrespass(t)
	if x.prowlAs("local"); len(x.found) < 2 {
		t.Errorf("got %v, want an agent without a sandbox noticed", x.found)
	}
}

// inChat says every verb of a chat in every way on a board, and returns what
// showed the canary, and what was answered otherwise than of a board that is
// not there.
func (p *parlour) inChat(b api.Board, home string) (found []string, tried int) {
	p.t.Helper()
	says := func(line string) (string, int) {
		argv, err := chat.Split(line)
		if err != nil {
			p.t.Fatal(err)
		}
		p.next++
		c := p.call(chat.Owner, fmt.Sprint(p.next))
		seat, err := chat.Sit(p.t.Context(), b, c)
		if err != nil {
			p.t.Fatal(err)
		}
		out, words, code := chatExec(p.t.Context(), c, seat, argv)
		return out + words, code
	}
	names := []string{"beta", "bqxz"}
	ways := []string{"NAME/t1", "NAME", "../boards/NAME", home + "/boards/NAME/board.db", "@" + home + "/profiles/NAME/.env", "--board NAME t1", "-b NAME t1", "t1 --board=NAME",
		"--profile NAME t1", "--home " + home + "/NAME t1", "t99 --parent NAME/t1", "t99 --body-file " + home + "/NAME", "t99 --workspace dir:" + home + "/boards/NAME", "t1 --ids NAME/t1",
		"t99 --tenant NAME", "t99 --assignee NAME", "t99 NAME/t1", "t1 --artifact " + home + "/boards/NAME/board.db", "-A", "t1", "t1 x"}
	for _, verb := range slices.Sorted(maps.Keys(chat.Table)) {
		for _, way := range ways {
			var got [2]string
			for i, name := range names {
				line := strings.ReplaceAll(verb+" "+way, "NAME", name)
				text, code := says(line)
				if tried++; shows(text) {
					found = append(found, fmt.Sprintf("%s shows the canary: %s", line, text))
				}
				got[i] = fmt.Sprint(code, " ", alikeText(text))
			}
			if strings.Contains(way, "NAME") && verb != "create" && got[0] != got[1] {
				found = append(found, fmt.Sprintf("%s %s: forbidden and unknown differ: %q, %q", verb, way, got[0], got[1]))
			}
		}
	}
	return found, tried
}

// TestChatOfOneClient: from acme's chat nothing of beta is seen; from beta's own
// it is, and noticed.
func TestChatOfOneClient(t *testing.T) {
	t.Parallel()
	p := newParlour(t)
	for _, c := range []boards.Command{
		boards.CreateTasks{Tasks: []boards.NewTask{{Title: otherCanary, Body: otherCanary, Tenant: otherCanary, Assignee: strings.ToLower(otherCanary)}}},
		boards.CommentTask{Task: 1, Body: otherCanary}, boards.BlockTask{Task: 1, Reason: otherCanary, Options: []string{otherCanary}},
	} {
		if _, err := p.beta.Do(t.Context(), boardstest.Kai, owner.NewCommandID(), c); err != nil {
			t.Fatal(err)
		}
	}
	if text, code := p.acmeHasATask(); code != 0 {
		t.Fatal(text)
	}
	head := headOf(t, p.beta)
	found, tried := p.inChat(p.acme, p.home.Dir())
	for _, f := range found {
		t.Error(f)
	}
	if headOf(t, p.beta) != head {
		t.Errorf("%d events were made on beta", headOf(t, p.beta)-head)
	}
	if own, _ := p.inChat(p.beta, p.home.Dir()); len(own) < 5 {
		t.Errorf("only %d lines showed what is on beta itself, so nothing could have been noticed", len(own))
	}
	t.Logf("%d ways tried", tried)
}

func (p *parlour) acmeHasATask() (string, int) {
	_, words, code := p.kai("create mine")
	return words, code
}
