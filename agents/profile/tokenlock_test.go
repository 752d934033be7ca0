//go:build linux

package profile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const testToken = "123456789:AAtokentokentokentokentokentokentoken"

// racerVariable makes the test binary a process that takes a token and holds
// it until its standard input ends.
const racerVariable = "HERMES_TEST_RACER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(racerVariable); dir != "" {
		race(dir)
		return
	}
	os.Exit(m.Run())
}

func race(dir string) {
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	in.ReadString('\n')
	_, err := LockToken(claim(dir, "racer"))
	var taken *TokenTakenError
	switch {
	case err == nil:
		fmt.Println("won")
	case errors.As(err, &taken):
		fmt.Println("lost to", taken.PID)
	default:
		fmt.Println("error", err)
	}
	io.Copy(io.Discard, in)
}

func claim(dir, profile string) TokenClaim {
	return TokenClaim{Dir: dir, Profile: profile, Platform: "Telegram", Token: NewSecret(testToken)}
}

type racer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startRacer(t *testing.T, dir string) *racer {
	t.Helper()
	r := &racer{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	r.cmd.Env = append(os.Environ(), racerVariable+"="+dir)
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.in, r.out = in, bufio.NewScanner(out)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.in.Close(); r.cmd.Process.Kill(); r.cmd.Wait() })
	if r.line() != "ready" {
		t.Fatal("a racer does not start")
	}
	return r
}

func (r *racer) line() string {
	r.out.Scan()
	return r.out.Text()
}

// lockOf writes a lock as if a process had taken it.
func lockOf(t *testing.T, dir string, h tokenHolder) {
	t.Helper()
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "telegram-"+tokenHash(NewSecret(testToken))), string(b))
}

func TestTokenRace(t *testing.T) {
	for _, stale := range []string{"none", "dead", "recycled", "garbage", "other boot"} {
		t.Run(stale, func(t *testing.T) {
			dir := t.TempDir()
			self, err := thisProcess()
			if err != nil {
				t.Fatal(err)
			}
			self.Profile = "old"
			switch stale {
			case "dead":
				lockOf(t, dir, tokenHolder{PID: 1 << 30, Start: 1, Boot: self.Boot})
			case "recycled":
				self.Start--
				lockOf(t, dir, self)
			case "other boot":
				self.Boot = "another"
				lockOf(t, dir, self)
			case "garbage":
				put(t, filepath.Join(dir, "telegram-"+tokenHash(NewSecret(testToken))), "{")
			}
			var racers []*racer
			for range 32 {
				racers = append(racers, startRacer(t, dir))
			}
			for _, r := range racers {
				io.WriteString(r.in, "go\n")
			}
			winner, lines := 0, []string{}
			for _, r := range racers {
				line := r.line()
				if line == "won" {
					if winner != 0 {
						t.Error("two have won")
					}
					winner = r.cmd.Process.Pid
				}
				lines = append(lines, line)
			}
			for _, line := range lines {
				if line != "won" && line != fmt.Sprintf("lost to %d", winner) {
					t.Errorf("got %q, want all but one to lose to %d", line, winner)
				}
			}
		})
	}
}

func TestTokenTaken(t *testing.T) {
	dir := t.TempDir()
	r := startRacer(t, dir)
	io.WriteString(r.in, "go\n")
	if got := r.line(); got != "won" {
		t.Fatalf("got %q", got)
	}
	_, err := LockToken(claim(dir, "beta"))
	want := fmt.Sprintf("[Telegram] Bot token already in use by profile racer (PID %d).", r.cmd.Process.Pid)
	if err == nil || err.Error() != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	other := claim(dir, "beta")
	other.Token = NewSecret("987654321:another")
	if _, err := LockToken(other); err != nil {
		t.Errorf("another token is refused: %v", err)
	}

	// One that was stopped loses it.
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, state, _ := processAt(r.cmd.Process.Pid); state == "T" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("state %s, want T", state)
		}
	}
	l, err := LockToken(claim(dir, "beta"))
	if err != nil || !l.Held() {
		t.Fatalf("the token of a stopped process is not taken over: %v", err)
	}
	b, err := os.ReadFile(l.path)
	if err != nil || strings.Contains(string(b), "AAtoken") {
		t.Errorf("the lock shows the token: %s %v", b, err)
	}
	if err := l.Release(); err != nil || l.Held() {
		t.Errorf("release: %v", err)
	}
	if _, err := LockToken(claim(dir, "gamma")); err != nil {
		t.Errorf("a token that was let go is refused: %v", err)
	}
}

// TestTokenOfAnotherUser: the lock of another user of the host counts while its
// process lives, and of two who have taken the token at once at most one goes on.
func TestTokenOfAnotherUser(t *testing.T) {
	mine, theirs := t.TempDir(), t.TempDir()
	r := startRacer(t, theirs)
	io.WriteString(r.in, "go\n")
	if got := r.line(); got != "won" {
		t.Fatalf("got %q", got)
	}
	c := claim(mine, "beta")
	c.Others = []string{filepath.Join(theirs, "nobody"), theirs}
	_, err := LockToken(c)
	var taken *TokenTakenError
	if !errors.As(err, &taken) || taken.PID != r.cmd.Process.Pid || taken.Profile != "racer" {
		t.Fatalf("got %v, want the holder %d", err, r.cmd.Process.Pid)
	}
	if left, err := filepath.Glob(filepath.Join(mine, "telegram-*")); err != nil || len(left) > 0 {
		t.Errorf("a lock that was not got is left behind: %v %v", left, err)
	}
	r.in.Close()
	r.cmd.Wait()
	l, err := LockToken(c)
	if err != nil || !l.Held() {
		t.Fatalf("the token of a process that has ended is refused: %v", err)
	}
	if info, err := os.Stat(l.path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("other users cannot see the lock: %v %v", info.Mode(), err)
	}
}

// TestForeignLock: the locks of the Python system count, and are not written.
func TestForeignLock(t *testing.T) {
	self, err := thisProcess()
	if err != nil {
		t.Fatal(err)
	}
	r := startRacer(t, t.TempDir())
	live, _, err := processAt(r.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	record := func(pid int, start any, more string) string {
		b, _ := json.Marshal(start)
		return fmt.Sprintf(`{"pid": %d, "start_time": %s%s}`, pid, b, more)
	}
	for _, c := range []struct{ name, file, holder string }{
		{"alive", record(live.PID, live.Start, `, "profile": "acme"`), "acme"},
		{"by its home", record(live.PID, live.Start, `, "hermes_home": "/home/kai/.hermes/profiles/beta"`), "beta"},
		{"seconds", record(live.PID, bootTime()+float64(live.Start)/ticksPerSecond, ""), "default"},
		{"start unknown", record(live.PID, nil, ""), "default"},
		{"recycled", record(live.PID, live.Start-100, ""), ""},
		{"dead", record(1<<30, 5, ""), ""},
		{"this process", record(self.PID, self.Start, ""), ""},
		{"garbage", "{", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c2 := claim(t.TempDir(), "gamma")
			c2.Foreign = filepath.Join(t.TempDir(), "hermes", "gateway-locks")
			path := filepath.Join(c2.Foreign, "telegram-bot-token-"+tokenHash(c2.Token)+".lock")
			put(t, path, c.file)
			_, err := LockToken(c2)
			var taken *TokenTakenError
			if c.holder == "" && err != nil || c.holder != "" && (!errors.As(err, &taken) || taken.Profile != c.holder || taken.PID != live.PID) {
				t.Errorf("got %v, want holder %q", err, c.holder)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != c.file {
				t.Errorf("the foreign lock was changed: %q %v", b, err)
			}
		})
	}
}
