package runtime

import "strings"

// Prompt is what an agent is told first: what is expected of it, and the
// context of its task, which ends in the verdicts that it may give. resumed
// says that it has worked on the task before, in the same conversation.
//
// No tool is called by its name: every program gives them another.
func Prompt(context string, resumed bool) string {
	var b strings.Builder
	if resumed {
		b.WriteString("The task goes on, in the same workspace. Below is how it stands now: look for the answer, the findings and the comments that are new.\n")
	} else {
		b.WriteString("You are given one task of a task board. Nobody watches: what you write here is kept, but it is read by no one and answered by no one.\n")
	}
	b.WriteString(`Only what you do with the tools of the server "` + kanban + `" counts. With them you read the task, say how far you are, hand over files, and end with exactly one verdict. Ending without a verdict counts as no work done. If you cannot go on without an answer, block with the question as the reason. Files to hand over go into the folder in $HERMES_OUTPUTS.

`)
	b.WriteString(context)
	return b.String()
}
