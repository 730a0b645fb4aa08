package shimtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// ServerName is what an Upstream calls itself.
const ServerName = "Stand-in upstream"

// Tools is how many tools an Upstream has.
const Tools = 4

type echoArgs struct {
	Text string `json:"text"`
}

type slowArgs struct {
	Millis int `json:"millis"`
}

type bigArgs struct {
	Bytes int `json:"bytes"`
}

type streamArgs struct {
	Events int `json:"events"`
	Millis int `json:"millis"` // between two events
}

// server has the tools echo (text back), slow (silent for a while), big (a long
// answer) and stream (progress notifications, then an answer).
func (u *Upstream) server() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: ServerName, Version: "1"},
		&mcp.ServerOptions{SupportedProtocolVersions: u.opts.Versions})
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "answers with the text"},
		func(_ context.Context, _ *mcp.CallToolRequest, a echoArgs) (*mcp.CallToolResult, any, error) {
			return text(a.Text), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "slow", Description: "answers after a while"},
		func(ctx context.Context, _ *mcp.CallToolRequest, a slowArgs) (*mcp.CallToolResult, any, error) {
			if err := u.pause(ctx, a.Millis); err != nil {
				return nil, nil, err
			}
			return text("done"), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "big", Description: "answers with many bytes"},
		func(_ context.Context, _ *mcp.CallToolRequest, a bigArgs) (*mcp.CallToolResult, any, error) {
			return text(strings.Repeat("x", max(a.Bytes, 0))), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "stream", Description: "reports progress, then answers"},
		func(ctx context.Context, req *mcp.CallToolRequest, a streamArgs) (*mcp.CallToolResult, any, error) {
			for i := range a.Events {
				err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
					ProgressToken: req.Params.GetProgressToken(),
					Progress:      float64(i + 1), Total: float64(a.Events),
					Message: fmt.Sprintf("event %d", i+1),
				})
				if err != nil {
					return nil, nil, err
				}
				if err := u.pause(ctx, a.Millis); err != nil {
					return nil, nil, err
				}
			}
			return text("done"), nil, nil
		})
	return s
}

func (u *Upstream) pause(ctx context.Context, millis int) error {
	t := time.NewTimer(time.Duration(millis) * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		u.Canceled.Add(1)
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}
