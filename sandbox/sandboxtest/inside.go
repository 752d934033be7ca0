//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/escape"
	"github.com/hermesboard/hermes/sandbox/proxy"
)

// In a sandbox the main goroutine keeps the main thread, because what a
// program does to itself there is seen from outside only on that thread.
func init() {
	if len(os.Args) > 1 && os.Args[1] == insideArg {
		runtime.LockOSThread()
	}
}

// The first argument of a test binary that runs in a sandbox, and of one that
// is another supervisor.
const (
	insideArg     = "sandboxtest-inside"
	supervisorArg = "sandboxtest-supervisor"
)

// EscapeArg is the first argument of a test binary that makes an attempt of
// package escape.
const EscapeArg = "sandboxtest-escape"

// Main runs the tests of m, or, in a copy of the test binary that a test runs
// in a sandbox or as another supervisor, what that test wants done there. It
// does not return. bare and grouped are what Run and RunWithCgroups are given.
func Main(m *testing.M, bare, grouped func() *sandbox.Sandbox) {
	if len(os.Args) > 1 && os.Args[1] == EscapeArg {
		escape.Inside(os.Args[2:])
	}
	if listen, to, argv, ok := proxy.ParseCommand(os.Args[1:]); ok {
		code, err := proxy.Init(listen, to, argv)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}
	if len(os.Args) > 4 && os.Args[1] == supervisorArg {
		newBox := bare
		if os.Args[2] == "grouped" {
			newBox = grouped
		}
		supervisor(newBox(), os.Args[3], os.Args[4])
	}
	if len(os.Args) > 2 && os.Args[1] == insideArg {
		do, ok := inside[os.Args[2]]
		if !ok {
			fmt.Fprintln(os.Stderr, "unknown program", os.Args[2])
			os.Exit(99)
		}
		do(os.Args[3:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// inside are the programs that tests run in a sandbox.
var inside = map[string]func(args []string){
	"args": func([]string) { json.NewEncoder(os.Stdout).Encode(os.Args[3:]) },
	"env":  func([]string) { json.NewEncoder(os.Stdout).Encode(os.Environ()) },
	"exit": func(args []string) {
		code, _ := strconv.Atoi(args[0])
		os.Exit(code)
	},
	"cat":   func([]string) { io.Copy(os.Stdout, os.Stdin) },
	"flood": flood,
	"fds":   descriptors,
	"wait": func([]string) { // until killed
		fmt.Println("up")
		stay()
	},
	"deaf":     deaf,
	"polite":   polite,
	"daemon":   daemon,
	"stubborn": stubborn,
	"survivor": survivor,
	"storm":    storm,
	"traced":   traced,
	"greet":    greet,
	"dial":     dial,
	"fetch":    fetch,
	"pids":     pids,
	"retouch":  retouch,
	"settings": settings,
	"kernel":   kernelCalls,
	"hog":      hog,
	"spin":     spin,
	"fill":     fill,
}

// stay waits for a kill; a run that forgets it ends some day. An empty select
// would be taken for a deadlock.
func stay() { time.Sleep(10 * time.Minute) }

// flood writes args[0] bytes of escape sequences and no line end.
func flood(args []string) {
	size, _ := strconv.Atoi(args[0])
	chunk := []byte(strings.Repeat("\x1b]52;c;AAAA\x07\x00\xff", 1<<12))
	for size > 0 {
		n, err := os.Stdout.Write(chunk[:min(size, len(chunk))])
		if err != nil {
			os.Exit(98)
		}
		size -= n
	}
}

// descriptors prints the numbers that are open, except those made for looking.
func descriptors([]string) {
	var stat syscall.Stat_t
	for fd := range 1024 {
		if syscall.Fstat(fd, &stat) != nil {
			continue
		}
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		own := strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/fs/cgroup/") // of Go's runtime
		if err == nil && !own {
			fmt.Println(fd, target)
		}
	}
}

// deaf ignores SIGTERM.
func deaf([]string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	fmt.Println("up")
	stay()
}

// polite ends with code 3 on SIGTERM.
func polite([]string) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	fmt.Println("up")
	<-c
	os.Exit(3)
}

// daemon leaves a survivor behind the way daemons do: a child in a new session
// starts another one in another and ends. args are "stay" or "leave", "keep"
// or "clear" for the environment, and a token for the survivor's command line.
func daemon(args []string) {
	if len(args) == 3 {
		respawn(args[1] == "clear", "daemon", append(args, "second")...).Wait()
		if args[0] == "stay" {
			stay()
		}
		return
	}
	respawn(args[1] == "clear", "survivor", args[2], strconv.Itoa(os.Getpid()))
}

// stubborn is a daemon's parent that ignores being asked to end, and stays.
func stubborn(args []string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	daemon([]string{"stay", "clear", args[0]})
}

func respawn(clear bool, program string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, append([]string{insideArg, program}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if clear {
		cmd.Env = []string{}
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd
}

// survivor says that it is up once its parent, args[1], is gone, and stays.
func survivor(args []string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	for strconv.Itoa(os.Getppid()) == args[1] {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("survivor up")
	stay()
}

// storm forks copies of itself, each in a session of its own and without
// environment, until args[0] generations are reached; the last ones stay.
func storm(args []string) {
	left, _ := strconv.Atoi(args[0])
	if left > 0 {
		for range 2 {
			respawn(true, "storm", strconv.Itoa(left-1), args[1])
		}
		if left < stormDepth {
			return
		}
		fmt.Println("up")
	}
	stay()
}

// traced makes its parent its tracer, from the thread that args[0] names, and
// then stops or lets that thread end.
func traced(args []string) {
	trace := func() {
		runtime.LockOSThread()
		syscall.RawSyscall(syscall.SYS_PTRACE, syscall.PTRACE_TRACEME, 0, 0) // an error is what the sandbox wants
	}
	if args[0] == "main" {
		fmt.Println("up") // before, because from then on every signal stops it
		trace()
		unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP) // this very thread, or another might take it
		stay()
	}
	runtime.LockOSThread() // so that the other goroutine is on another thread
	done := make(chan struct{})
	go func() { // its thread ends with it
		trace()
		close(done)
	}()
	<-done
	fmt.Println("up")
	stay()
}

// stormDepth makes 2 to the power of it processes.
const stormDepth = 5

// greet says hello on the unix socket args[0] and prints the answer.
func greet(args []string) {
	conn, err := net.Dial("unix", args[0])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Fprintln(conn, "hello")
	line, _ := bufio.NewReader(conn).ReadString('\n')
	fmt.Print(line)
}

// dial tries every network:address pair.
func dial(args []string) {
	for _, target := range args {
		network, address, _ := strings.Cut(target, ":")
		conn, err := net.DialTimeout(network, address, 2*time.Second)
		if err == nil {
			conn.Write([]byte("hit"))
			conn.Close()
		}
		fmt.Println(network, err == nil)
	}
}

// pids prints which of the processes args can be seen, and signalled.
func pids(args []string) {
	for _, arg := range args {
		_, seen := os.Stat("/proc/" + arg + "/comm")
		_, env := os.ReadFile("/proc/" + arg + "/environ")
		pid, _ := strconv.Atoi(arg)
		fmt.Println(seen == nil, env == nil, syscall.Kill(pid, syscall.SIGUSR1) == nil)
	}
}
