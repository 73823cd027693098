package app

import (
	"errors"
	"fmt"
	"testing"
	"time"

	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

// TestFullBufferIsKnownByItsTrouble holds that the judges of alerts can tell a source that
// waits for room from one that Auth0 throttles.
func TestFullBufferIsKnownByItsTrouble(t *testing.T) {
	t.Parallel()
	full := fmt.Errorf("store page: %w", pipeline.ErrBufferFull).Error()
	got := figuresOf(&web.Tenant{Troubles: []web.Trouble{
		{Part: "poll", Class: "throttled", Message: full}, {Part: "poll", Class: "throttled", Message: "fetch logs: status 429"},
	}}, time.Now()).Troubles
	if !got[0].Full || got[1].Full {
		t.Errorf("%+v", got)
	}
}

// TestTopicThatIsNotThereNeedsAPerson has SNS not know the topic: trying again mends
// nothing, and a person is told what does.
func TestTopicThatIsNotThereNeedsAPerson(t *testing.T) {
	t.Parallel()
	e := explainSend("publish to the topic", "Publish", &snstypes.NotFoundException{})
	if !e.Lasting || !e.Misconfigured || e.Hint == "" {
		t.Errorf("%+v", e)
	}
	if e := explainSend("publish to the topic", "Publish", errors.New("EOF")); e.Lasting {
		t.Errorf("what passes: %+v", e)
	}
}
