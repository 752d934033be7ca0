//go:build linux && (amd64 || arm64)

package escape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// What programs inside say on lines of their own.
const (
	readyWord   = "ready: now look\n"
	reachedWord = "reached: "
	tried       = "tried: to the end\n"
	signalWord  = "signalled\n"
	settledWord = "settled: nothing is on its way\n"
)

// inside is what an attempt inside knows: what it is after.
type inside map[string]string

// Inside carries out an attempt within a sandbox. args are those that Run gave
// it, behind Options.Args. It does not return.
func Inside(args []string) {
	// What a program does to itself is seen from outside on its main thread.
	runtime.LockOSThread()
	if len(args) == 2 && args[0] == "victim" {
		stayVictim()
	}
	if len(args) > 0 && helpers[args[0]] != nil {
		helpers[args[0]](args[1:])
		os.Exit(0)
	}
	i := slices.IndexFunc(attempts, func(a attempt) bool { return len(args) == 2 && a.id == args[0] })
	if i < 0 {
		fmt.Println("there is no such attempt")
		os.Exit(99)
	}
	in := make(inside)
	if err := json.Unmarshal([]byte(args[1]), &in); err != nil {
		fmt.Println(err)
		os.Exit(99)
	}
	attempts[i].try(in)
	fmt.Print(tried)
	os.Exit(0)
}

// helpers are further programs that attempts start.
var helpers map[string]func(args []string)

func init() {
	helpers = map[string]func([]string){
		"namespace": func([]string) { show([]byte(reachedWord + "a user namespace\n")) },
		"daemon":    daemon,
		"survivor":  survivor,
		"setuid":    setuid,
	}
}

// stayVictim stays until it is killed or its input ends. Of two signals that wait
// the kernel and the runtime deliver SIGUSR1 first.
func stayVictim() {
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	fmt.Print(readyWord)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for s := range signals {
		if s == syscall.SIGUSR1 {
			fmt.Print(signalWord)
		} else {
			fmt.Print(settledWord)
		}
	}
}

// reached says that the attempt got where it should not.
func reached(format string, args ...any) { fmt.Printf(reachedWord+format+"\n", args...) }

// show prints secrets and what the program says, and nothing else it found.
func show(data []byte) {
	for _, line := range bytes.FieldsFunc(data, func(r rune) bool { return r == '\n' || r == 0 }) {
		if bytes.Contains(line, []byte(canary)) || bytes.HasPrefix(line, []byte(reachedWord)) {
			fmt.Printf("%s\n", line)
		}
	}
}

// untilLooked says that the host can look now, and waits until it has.
func untilLooked() {
	fmt.Print(readyWord)
	done := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(attemptTime / 2):
	}
}

// spoil reads a file and adds to it.
func spoil(path string) {
	if b, err := os.ReadFile(path); err == nil {
		show(b)
	}
	if f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err == nil {
		f.WriteString("spoiled")
		f.Close()
	}
}
