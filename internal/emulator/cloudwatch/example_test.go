package cloudwatch_test

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
)

// The SDK writes an event and finds it again, without a socket.
func Example() {
	server, err := cloudwatch.New(cloudwatch.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()
	ctx, client := context.Background(), newClient(server, "any", "key")
	name := aws.String("example")
	_, _ = client.CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: name})
	_, _ = client.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: name, LogStreamName: name})
	_, err = client.PutLogEvents(ctx, &logs.PutLogEventsInput{
		LogGroupName: name, LogStreamName: name,
		LogEvents: []types.InputLogEvent{{Timestamp: aws.Int64(time.Now().UnixMilli()), Message: aws.String(`{"type":"s"}`)}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := client.FilterLogEvents(ctx, &logs.FilterLogEventsInput{LogGroupName: name, FilterPattern: aws.String(`{ $.type = "s" }`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(*found.Events[0].Message)
	// Output: {"type":"s"}
}
