package main

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"

	"github.com/hermesboard/hermes/boards"
)

// accountOf is the account of a client that has one of its own.
func accountOf(name string) string { return "hermes-" + name }

// planAccount lists the commands that give a client an account and a home of
// its own, in which all the rest is done: the kernel keeps it from the others.
func (k *onboarding) planAccount() ([]clientStep, error) {
	if os.Geteuid() != 0 && !k.dry {
		return nil, &boards.Rejection{Code: "not_root", Detail: "only root can make an account for a client", Hint: "sudo hermes client add " + k.name + " --os-user …; --dry-run prints what it would do"}
	}
	if !k.dry && !everybodyRuns(k.program) {
		return nil, &boards.Rejection{Code: "program_private", Detail: "another account cannot run " + k.program,
			Hint: "put it where every account can: install -m 755 " + shellQuote(k.program) + " /usr/local/bin/hermes"}
	}
	account := accountOf(k.name)
	home := filepath.Join("/home", account)
	var plan []clientStep
	var unknown user.UnknownUserError
	if u, err := user.Lookup(account); errors.As(err, &unknown) {
		plan = append(plan, clientStep{argv: []string{"useradd", "--create-home", "--home-dir", home, "--shell", "/usr/sbin/nologin", account},
			undo: []string{"userdel", "--remove", account}})
	} else if err != nil {
		return nil, err
	} else {
		home = u.HomeDir
	}
	plan = append(plan, clientStep{argv: []string{"chmod", "700", home}})
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		plan = append(plan, clientStep{argv: []string{"loginctl", "enable-linger", account}})
	}
	if k.dir != "" {
		plan = append(plan, clientStep{argv: []string{"install", "-d", "-m", "700", "-o", account, k.dir}})
	}
	as := []string{"runuser", "-u", account, "--", "env", "HOME=" + home, "HERMES_HOME=" + filepath.Join(home, ".hermes"), k.program}
	add := append(as, "client", "add", k.name)
	for _, f := range []string{"backend", "image", "agents", "digest", "description"} {
		if v := k.str(f); v != "" {
			add = append(add, "--"+f, v)
		}
	}
	if k.dir != "" {
		add = append(add, "--dir", k.dir)
	}
	for _, p := range k.list("allow") {
		add = append(add, "--allow", p)
	}
	if k.hasBot {
		add = append(add, "--bot-token-stdin")
	}
	if k.flag("no-start") {
		add = append(add, "--no-start")
	}
	operator := append(as[:len(as):len(as)], "-p", k.name, "config", "set", "gateway.operator", "uid:0")
	return append(plan, clientStep{argv: add, stdin: k.token.Reveal()}, clientStep{argv: operator}), nil
}

// everybodyRuns reports whether every account of the host can run a program.
func everybodyRuns(path string) bool {
	for {
		info, err := os.Stat(path)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
		path = filepath.Dir(path)
	}
}
