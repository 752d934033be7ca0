package worker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// tool is one thing an agent can ask for.
type tool struct {
	changes bool // counted as a changing call
	call    func(ctx context.Context, body []byte) (*Answer, error)
	stream  func(ctx context.Context, w http.ResponseWriter, r *http.Request) (*Answer, error) // instead of call
}

// tools maps every tool to what it does. It is the whole of what a worker can ask for.
func (s *Server) tools() map[string]tool {
	own := s.Run.Task
	return map[string]tool{
		"put":  {stream: s.put},
		"show": read(s.show),
		"list": read(s.list),
		"create": mutate(s, func(a Create) (string, boards.Command, error) {
			tasks, err := s.newTasks(a.Tasks)
			return a.Key, boards.CreateTasks{Tasks: tasks}, err
		}),
		"link": mutate(s, func(a Link) (string, boards.Command, error) {
			return a.Key, boards.LinkTasks{Parent: a.Parent, Child: a.Child, Needs: a.Needs}, nil
		}),
		"comment": mutate(s, func(a Comment) (string, boards.Command, error) {
			if a.Task == 0 {
				a.Task = own
			}
			return a.Key, boards.CommentTask{Task: a.Task, Body: a.Body}, nil
		}),
		"heartbeat": mutate(s, func(a Heartbeat) (string, boards.Command, error) {
			return "", boards.Heartbeat{Task: own, Note: a.Note, Done: a.Done, Total: a.Total}, nil
		}),
		"attach": mutate(s, func(a Attach) (string, boards.Command, error) {
			files, names, err := s.files.named([]Artifact{a.Artifact})
			if err != nil {
				return "", nil, err
			}
			return a.Key, boards.AttachFile{Task: own, Name: names[0], Artifact: files[0]}, nil
		}),
		"unblock": mutate(s, func(a Unblock) (string, boards.Command, error) {
			return a.Key, boards.UnblockTask{Task: a.Task, Answer: a.Answer}, nil
		}),
		"complete": verdict(s, "complete", func(a Complete) (string, boards.Command, error) {
			files, names, err := s.files.named(a.Artifacts)
			return a.Key, boards.CompleteTask{Task: own, Verdict: a.Verdict, Summary: a.Summary, Result: a.Result,
				Metadata: a.Metadata, Artifacts: files, Names: names, Created: a.Created}, err
		}),
		"request_review": verdict(s, "request_review", func(a RequestReview) (string, boards.Command, error) {
			files, names, err := s.files.named(a.Artifacts)
			return a.Key, boards.RequestReview{Task: own, Reviewer: a.Reviewer, Summary: a.Summary, Metadata: a.Metadata,
				Artifacts: files, Names: names}, err
		}),
		"approve": verdict(s, "approve", func(a Approve) (string, boards.Command, error) {
			return a.Key, boards.ApproveTask{Task: own, Summary: a.Summary}, nil
		}),
		"request_changes": verdict(s, "request_changes", func(a RequestChanges) (string, boards.Command, error) {
			return a.Key, boards.RequestChanges{Task: own, Reason: a.Reason}, nil
		}),
		"block": verdict(s, "block", func(a Block) (string, boards.Command, error) {
			return a.Key, boards.BlockTask{Task: own, Kind: a.Kind, Reason: a.Reason, Options: a.Options}, nil
		}),
	}
}

func decodeArgs[A any](body []byte) (A, error) {
	var a A
	if err := json.Unmarshal(body, &a, json.RejectUnknownMembers(true)); err != nil {
		return a, badCall("%.300s", err.Error())
	}
	return a, nil
}

// read makes a tool that changes nothing.
func read[A any](do func(context.Context, A) (*Answer, error)) tool {
	return tool{call: func(ctx context.Context, body []byte) (*Answer, error) {
		a, err := decodeArgs[A](body)
		if err != nil {
			return nil, err
		}
		return do(ctx, a)
	}}
}

// mutate makes a tool that changes the board. Without a key every call is its own.
func mutate[A any](s *Server, command func(A) (key string, c boards.Command, err error)) tool {
	return change(command, func(ctx context.Context, key string, _ []byte, c boards.Command) (boards.Result, error) {
		if key == "" {
			key = rand.Text()
		}
		return s.Door.Do(ctx, s.commandID(key), c)
	})
}

// verdict makes a tool that ends the run's work. A run gives one verdict, so
// the same one said again, also without a key, is the same command.
func verdict[A any](s *Server, name string, command func(A) (string, boards.Command, error)) tool {
	return change(command, func(ctx context.Context, key string, body []byte, c boards.Command) (boards.Result, error) {
		if key == "" {
			sum := sha256.Sum256(body)
			key = "verdict " + name + " " + hex.EncodeToString(sum[:])
		}
		res, err := s.Verdict(ctx, s.commandID(key), c)
		if err == nil {
			s.decide()
		}
		return res, err
	})
}

func change[A any](command func(A) (string, boards.Command, error),
	do func(ctx context.Context, key string, body []byte, c boards.Command) (boards.Result, error)) tool {
	return tool{changes: true, call: func(ctx context.Context, body []byte) (*Answer, error) {
		a, err := decodeArgs[A](body)
		if err != nil {
			return nil, err
		}
		key, c, err := command(a)
		if err != nil {
			return nil, err
		}
		res, err := do(ctx, key, body, c)
		if err != nil {
			return nil, err
		}
		return &Answer{Status: res.Status, Tasks: res.Tasks}, nil
	}}
}

// commandID makes a worker's key the name of a command of this run.
func (s *Server) commandID(key string) events.CommandID {
	return events.ForeignCommandID(s.Board, "run "+s.Run.String(), key)
}
