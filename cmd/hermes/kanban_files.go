package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// maxAttachment is the default limit of one attached file.
const maxAttachment = 1 << 30

func commentVerb(env Env) *cli.Command {
	return moveVerb(env, "comment", "ID TEXT…", "say something about a task; its agent sees it", `
Examples:
  hermes kanban comment t7 "prices without VAT, please"
  hermes kanban comment t7 - < notes.txt`,
		[]cli.Flag{hidden(str("author", "", "")), hidden(num("max-len", "", ""))},
		func(x *call) (move, error) {
			if err := x.unsupported(map[string]string{"author": "who comments is who runs the command; set HERMES_USER",
				"max-len": "nothing is cut: a longer text goes with hermes kanban attach ID PATH"}); err != nil {
				return move{}, err
			}
			a, err := x.args(2, -1, "a task and a text")
			if err != nil {
				return move{}, err
			}
			text := strings.Join(a[1:], " ")
			if text == "-" {
				if text, err = x.readFile("-", boards.MaxComment); err != nil {
					return move{}, err
				}
			}
			return move{tasks: a[:1], done: "commented", command: func(t events.TaskID) boards.Command {
				return boards.CommentTask{Task: t, Body: text}
			}}, nil
		})
}

func attachVerb(env Env) *cli.Command {
	return verb(env, "attach", "ID PATH", "give a task a file; its agent finds it under $HERMES_INPUTS/attached", "",
		[]cli.Flag{str("name", "", "another name for it"), hidden(str("content-type", "", "")), hidden(str("author", "", ""))},
		runAttach)
}

func runAttach(ctx context.Context, x *call) error {
	a, err := x.args(2, 2, "a task and a path")
	if err != nil {
		return err
	}
	if err := x.unsupported(map[string]string{"author": "who attaches is who runs the command; set HERMES_USER",
		"content-type": "a file keeps its name and its bytes, nothing else; leave it out"}); err != nil {
		return err
	}
	f, err := x.openFile(a[1])
	if err != nil {
		return err
	}
	defer f.Close()
	b, tasks, err := x.on(ctx, a[:1])
	if err != nil {
		return err
	}
	defer b.Close()
	if _, err := b.Why(ctx, tasks[0]); err != nil { // nothing is stored for a task that is not there
		return err
	}
	store, err := x.artifacts(ctx, b)
	if err != nil {
		return err
	}
	stored, err := store.Put(ctx, f, maxAttachment)
	if err != nil {
		return err
	}
	name := x.str("name")
	if name == "" {
		name = filepath.Base(a[1])
	}
	return x.each(ctx, b, tasks, func(t events.TaskID) boards.Command {
		return boards.AttachFile{Task: t, Name: name, Artifact: stored}
	}, "has "+name)
}

// artifacts is the file store of an open board.
func (x *call) artifacts(ctx context.Context, b api.Board) (*registry.Artifacts, error) {
	home, err := x.home()
	if err != nil {
		return nil, err
	}
	info, err := b.Info(ctx)
	if err != nil {
		return nil, err
	}
	return registry.OpenArtifacts(home.Paths(info.Slug).Artifacts), nil
}

func attachmentsVerb(env Env) *cli.Command {
	return verb(env, "attachments", "ID", "list a task's files", "", nil, func(ctx context.Context, x *call) error {
		b, id, err := x.look(ctx)
		if err != nil {
			return err
		}
		defer b.Close()
		d, err := b.Show(ctx, id)
		if err != nil {
			return err
		}
		if x.json() {
			return x.emit(d.Artifacts)
		}
		if len(d.Artifacts) == 0 {
			x.say("%s has no files", id)
			return nil
		}
		rows := [][]string{{"ID", "KIND", "SIZE", "BY", "SHA256", "NAME"}}
		for _, f := range d.Artifacts {
			rows = append(rows, []string{fmt.Sprint(f.Seq), f.Kind, size(f.Size), line(f.By.Name), f.SHA256.String()[:12], line(f.Name)})
		}
		table(x.Stdout, x.Width, rows)
		return nil
	})
}

func detachVerb(env Env) *cli.Command {
	return verb(env, "detach,attach-rm", "[ID] ATTACHMENT", "take an attachment back; ATTACHMENT is its ID in attachments", "Example:\n  hermes kanban detach t7 41", nil,
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, 2, "a task and the ID of an attachment")
			if err != nil {
				return err
			}
			seq, err := strconv.ParseUint(a[len(a)-1], 10, 64)
			if err != nil || seq == 0 {
				return &usageError{msg: fmt.Sprintf("%q is not the ID of an attachment", a[len(a)-1]), hint: "hermes kanban attachments ID lists them"}
			}
			b, tasks, err := x.on(ctx, a[:len(a)-1])
			if err != nil {
				return err
			}
			defer b.Close()
			if len(tasks) == 0 { // the ID is a position of the board's log: its record knows the task
				if tasks, err = attachedTo(ctx, b, seq); err != nil {
					return err
				}
			}
			return x.each(ctx, b, tasks, func(t events.TaskID) boards.Command {
				return boards.DetachFile{Task: t, Attachment: seq}
			}, fmt.Sprintf("no longer has attachment %d", seq))
		})
}

func attachedTo(ctx context.Context, b api.Board, seq uint64) ([]events.TaskID, error) {
	entries, err := b.Read(ctx, seq, 1)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		r, err := events.Decode(e.Record)
		if err != nil {
			return nil, err
		}
		if _, ok := r.Data.(events.TaskAttached); ok && r.Seq == seq {
			return []events.TaskID{r.Task}, nil
		}
	}
	return nil, &boards.Rejection{Code: boards.CodeNotFound, Detail: fmt.Sprintf("there is no attachment %d", seq), Hint: "hermes kanban attachments ID lists them"}
}

func getVerb(env Env) *cli.Command {
	return verb(env, "get", "ID [NAME]", "copy a task's results and files to a folder", `
Examples:
  hermes kanban get t4
  hermes kanban get t4 brief.md -o /tmp/out`,
		[]cli.Flag{str("output", "o", "the folder (default: here)"), flag("force", "", "replace files, or the branch, that are there"),
			flag("branch", "", "fetch the commits that were handed back instead, into the repository --into; nothing is checked out"),
			str("into", "", "with --branch: the repository (default: here)")}, runGet)
}

func runGet(ctx context.Context, x *call) error {
	a, err := x.args(1, 2, "a task and perhaps a file's name")
	if err != nil {
		return err
	}
	tasks, err := x.taskIDs(a[:1])
	if err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	d, err := b.Show(ctx, tasks[0])
	if err != nil {
		return err
	}
	store, err := x.artifacts(ctx, b)
	if err != nil {
		return err
	}
	if x.flag("branch") {
		return getBranch(ctx, x, d, store, x.str("into"))
	}
	out := x.Dir
	if o := x.str("output"); filepath.IsAbs(o) {
		out = o
	} else if o != "" {
		out = filepath.Join(x.Dir, o)
	}
	var got []string
	newest := make(map[string]projections.ArtifactRow)
	for _, f := range d.Artifacts {
		if len(a) == 1 || f.Name == a[1] {
			newest[f.Name] = f
		}
	}
	for _, f := range d.Artifacts {
		if newest[f.Name].Seq != f.Seq {
			continue
		}
		path, err := fetch(store, f, out, x.flag("force"))
		if err != nil {
			return err
		}
		got = append(got, path)
		if !x.json() {
			fmt.Fprintln(x.Stdout, path)
		}
	}
	if len(got) == 0 {
		return &boards.Rejection{Code: boards.CodeNotFound, Task: d.ID, Detail: fmt.Sprintf("%s has no such file", d.ID), Hint: "hermes kanban attachments " + d.ID.String() + " lists them"}
	}
	if x.json() {
		return x.emit(got)
	}
	return nil
}

// fetch copies a stored file into a folder under the name it was given. The
// name is somebody else's: it cannot lead out of the folder.
func fetch(store *registry.Artifacts, f projections.ArtifactRow, dir string, force bool) (string, error) {
	src, err := store.Open(f.SHA256)
	if err != nil {
		return "", err
	}
	defer src.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	name := filepath.FromSlash(f.Name)
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", err
	}
	mode := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if force {
		mode = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	dst, err := root.OpenFile(name, mode, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", &boards.Rejection{Code: "file_exists", Detail: filepath.Join(dir, name) + " is there already", Hint: "--force replaces it; -o names another folder"}
	} else if err != nil {
		return "", err
	}
	_, err = io.Copy(dst, src)
	return filepath.Join(dir, name), errors.Join(err, dst.Close())
}
