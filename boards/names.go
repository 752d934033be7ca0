package boards

import (
	"fmt"

	"github.com/go-json-experiment/json"
)

// CommandName implements Command.
func (CreateBoard) CommandName() string { return "create_board" }

// CommandName implements Command.
func (RenameBoard) CommandName() string { return "rename_board" }

// CommandName implements Command.
func (AcceptBoard) CommandName() string { return "accept_board" }

// CommandName implements Command.
func (PauseBoard) CommandName() string { return "pause_board" }

// CommandName implements Command.
func (ResumeBoard) CommandName() string { return "resume_board" }

// CommandName implements Command.
func (SetPolicy) CommandName() string { return "set_policy" }

// CommandName implements Command.
func (HoldAgent) CommandName() string { return "hold_agent" }

// CommandName implements Command.
func (ReleaseAgent) CommandName() string { return "release_agent" }

// CommandName implements Command.
func (Subscribe) CommandName() string { return "subscribe" }

// CommandName implements Command.
func (Unsubscribe) CommandName() string { return "unsubscribe" }

// CommandName implements Command.
func (RecordSent) CommandName() string { return "record_sent" }

// CommandName implements Command.
func (RecordDead) CommandName() string { return "record_dead" }

// CommandName implements Command.
func (ReportBudget) CommandName() string { return "report_budget" }

// CommandName implements Command.
func (RetryDead) CommandName() string { return "retry_dead" }

// CommandName implements Command.
func (CreateTasks) CommandName() string { return "create_tasks" }

// CommandName implements Command.
func (EditTask) CommandName() string { return "edit_task" }

// CommandName implements Command.
func (AssignTask) CommandName() string { return "assign_task" }

// CommandName implements Command.
func (PrioritizeTask) CommandName() string { return "prioritize_task" }

// CommandName implements Command.
func (SetTenant) CommandName() string { return "set_tenant" }

// CommandName implements Command.
func (SetModel) CommandName() string { return "set_model" }

// CommandName implements Command.
func (LinkTasks) CommandName() string { return "link_tasks" }

// CommandName implements Command.
func (UnlinkTasks) CommandName() string { return "unlink_tasks" }

// CommandName implements Command.
func (CommentTask) CommandName() string { return "comment_task" }

// CommandName implements Command.
func (AttachFile) CommandName() string { return "attach_file" }

// CommandName implements Command.
func (DetachFile) CommandName() string { return "detach_file" }

// CommandName implements Command.
func (PromoteTask) CommandName() string { return "promote_task" }

// CommandName implements Command.
func (SpecifyTask) CommandName() string { return "specify_task" }

// CommandName implements Command.
func (DecomposeTask) CommandName() string { return "decompose_task" }

// CommandName implements Command.
func (FailPlan) CommandName() string { return "fail_plan" }

// CommandName implements Command.
func (ScheduleTask) CommandName() string { return "schedule_task" }

// CommandName implements Command.
func (UnblockTask) CommandName() string { return "unblock_task" }

// CommandName implements Command.
func (ReopenTask) CommandName() string { return "reopen_task" }

// CommandName implements Command.
func (ArchiveTask) CommandName() string { return "archive_task" }

// CommandName implements Command.
func (ClaimTask) CommandName() string { return "claim_task" }

// CommandName implements Command.
func (StartRun) CommandName() string { return "start_run" }

// CommandName implements Command.
func (Heartbeat) CommandName() string { return "heartbeat" }

// CommandName implements Command.
func (CompleteTask) CommandName() string { return "complete_task" }

// CommandName implements Command.
func (RequestReview) CommandName() string { return "request_review" }

// CommandName implements Command.
func (ApproveTask) CommandName() string { return "approve_task" }

// CommandName implements Command.
func (RequestChanges) CommandName() string { return "request_changes" }

// CommandName implements Command.
func (BlockTask) CommandName() string { return "block_task" }

// CommandName implements Command.
func (StopRun) CommandName() string { return "stop_run" }

// CommandName implements Command.
func (EndRun) CommandName() string { return "end_run" }

// CommandName implements Command.
func (RefuseCalls) CommandName() string { return "refuse_calls" }

// commands maps every wire name to a decoder.
var commands = map[string]func([]byte) (Command, error){
	CreateBoard{}.CommandName():    decode[CreateBoard],
	RenameBoard{}.CommandName():    decode[RenameBoard],
	AcceptBoard{}.CommandName():    decode[AcceptBoard],
	PauseBoard{}.CommandName():     decode[PauseBoard],
	ResumeBoard{}.CommandName():    decode[ResumeBoard],
	SetPolicy{}.CommandName():      decode[SetPolicy],
	HoldAgent{}.CommandName():      decode[HoldAgent],
	ReleaseAgent{}.CommandName():   decode[ReleaseAgent],
	Subscribe{}.CommandName():      decode[Subscribe],
	Unsubscribe{}.CommandName():    decode[Unsubscribe],
	RecordSent{}.CommandName():     decode[RecordSent],
	RecordDead{}.CommandName():     decode[RecordDead],
	RetryDead{}.CommandName():      decode[RetryDead],
	ReportBudget{}.CommandName():   decode[ReportBudget],
	CreateTasks{}.CommandName():    decode[CreateTasks],
	EditTask{}.CommandName():       decode[EditTask],
	AssignTask{}.CommandName():     decode[AssignTask],
	PrioritizeTask{}.CommandName(): decode[PrioritizeTask],
	SetTenant{}.CommandName():      decode[SetTenant],
	SetModel{}.CommandName():       decode[SetModel],
	LinkTasks{}.CommandName():      decode[LinkTasks],
	UnlinkTasks{}.CommandName():    decode[UnlinkTasks],
	CommentTask{}.CommandName():    decode[CommentTask],
	AttachFile{}.CommandName():     decode[AttachFile],
	DetachFile{}.CommandName():     decode[DetachFile],
	PromoteTask{}.CommandName():    decode[PromoteTask],
	SpecifyTask{}.CommandName():    decode[SpecifyTask],
	DecomposeTask{}.CommandName():  decode[DecomposeTask],
	FailPlan{}.CommandName():       decode[FailPlan],
	ScheduleTask{}.CommandName():   decode[ScheduleTask],
	UnblockTask{}.CommandName():    decode[UnblockTask],
	ReopenTask{}.CommandName():     decode[ReopenTask],
	ArchiveTask{}.CommandName():    decode[ArchiveTask],
	ClaimTask{}.CommandName():      decode[ClaimTask],
	StartRun{}.CommandName():       decode[StartRun],
	Heartbeat{}.CommandName():      decode[Heartbeat],
	CompleteTask{}.CommandName():   decode[CompleteTask],
	RequestReview{}.CommandName():  decode[RequestReview],
	ApproveTask{}.CommandName():    decode[ApproveTask],
	RequestChanges{}.CommandName(): decode[RequestChanges],
	BlockTask{}.CommandName():      decode[BlockTask],
	StopRun{}.CommandName():        decode[StopRun],
	EndRun{}.CommandName():         decode[EndRun],
	RefuseCalls{}.CommandName():    decode[RefuseCalls],
}

func decode[C Command](b []byte) (Command, error) {
	var c C
	err := json.Unmarshal(b, &c, json.RejectUnknownMembers(true))
	return c, err
}

// DecodeCommand reads a command from its wire name and JSON. An unknown name
// or member is a *[Rejection] with code [CodeUnknownCommand] or [CodeBadCommand].
func DecodeCommand(name string, b []byte) (Command, error) {
	d, ok := commands[name]
	if !ok {
		return nil, &Rejection{Code: CodeUnknownCommand, Detail: fmt.Sprintf("no command %q", name)}
	}
	c, err := d(b)
	if err != nil {
		return nil, &Rejection{Code: CodeBadCommand, Detail: fmt.Sprintf("%s: %v", name, err)}
	}
	return c, nil
}

// EncodeCommand writes a command as JSON; the same command gives the same bytes.
func EncodeCommand(c Command) ([]byte, error) { return json.Marshal(c, json.Deterministic(true)) }
