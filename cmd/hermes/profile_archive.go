package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
)

func profileExportVerb(env Env) *cli.Command {
	return verb(env, "export", "NAME", "write a profile to a tar.gz, without its secrets", "Example:\n  hermes profile export acme --output acme.tar.gz",
		[]cli.Flag{str("output", "o", "the file (default NAME.tar.gz); - is standard output")}, atHome(1, 1, "a profile", runProfileExport))
}

func profileImportVerb(env Env) *cli.Command {
	return verb(env, "import", "FILE", "make a profile of what export wrote", "Example:\n  hermes profile import acme.tar.gz --name acme-2",
		[]cli.Flag{str("name", "", "its name (default: as it was)"), flag("no-alias", "", "make no command")}, asOperator(1, 1, "a file", runProfileImport))
}

func runProfileExport(_ context.Context, x *visit) error {
	p, err := x.profileNamed(x.house, x.words[0])
	if err != nil {
		return err
	}
	name := x.str("output")
	if name == "-" {
		return profile.Export(x.Stdout, p)
	}
	if name == "" {
		name = p.Name + ".tar.gz"
	}
	f, err := os.OpenFile(x.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &boards.Rejection{Code: "file_exists", Detail: name + " is there already", Hint: "name another file: --output FILE"}
	} else if err != nil {
		return err
	}
	if err := errors.Join(profile.Export(f, p), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	x.say("profile %s without its secrets is in %s", p.Name, name)
	return nil
}

func runProfileImport(_ context.Context, x *visit) error {
	home := x.house
	f, err := x.openFile(x.words[0])
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := profile.Import(home.Dir(), x.str("name"), f)
	if errors.Is(err, profile.ErrExists) {
		return &boards.Rejection{Code: "profile_exists", Detail: err.Error(), Hint: "give it another name: --name NEW"}
	} else if err != nil {
		return err
	}
	if !x.flag("no-alias") {
		if err := x.makeAlias(home.Dir(), p.Name); err != nil {
			return err
		}
	}
	return x.done(x.profileRow(home, p), p.Name, "profile %s made in %s; its secrets are to be set anew", p.Name, p.Dir)
}
