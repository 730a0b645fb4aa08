package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A subject is something that takes calls.
type subject struct {
	name  string
	addr  string // host:port
	path  string
	token string   // of the client
	proc  *process // what its cost is read from; the upstream itself for "direct"
}

// A process is a program that the benchmark started.
type process struct {
	cmd    *exec.Cmd
	origin string
	stderr bytes.Buffer
	ready  time.Duration // from start to ready line
	once   sync.Once
}

// start starts a program and waits for its ready line.
func (b *bench) start(env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	b.procs = append(b.procs, p)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "ready local="); ok {
			p.ready = time.Since(begin)
			p.origin, _, _ = strings.Cut(rest, " ")
			go io.Copy(io.Discard, stdout)
			return p, nil
		}
	}
	p.stop()
	return nil, fmt.Errorf("%s ended: %s", filepath.Base(name), p.stderr.String())
}

func (p *process) addr() string { return strings.TrimPrefix(p.origin, "http://") }

// stop ends the process as the owner would, and waits for it.
func (p *process) stop() {
	p.once.Do(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() { p.cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			p.cmd.Process.Kill()
			<-done
		}
	})
}

func (b *bench) stopAll() {
	for _, p := range b.procs {
		p.stop()
	}
}

func (b *bench) startUpstream() (err error) {
	b.upstream, err = b.startRole("upstream")
	return err
}

func (b *bench) startRole(role string, env ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.start(append(env, roleVariable+"="+role), exe)
}

// subjects starts everything that is compared.
func (b *bench) subjects() ([]*subject, error) {
	direct := &subject{name: "direct", addr: b.upstream.addr(), path: "/mcp", token: apiKey, proc: b.upstream}
	bare, err := b.startRole("bare", "K2O_BENCH_UPSTREAM="+b.upstream.origin)
	if err != nil {
		return nil, err
	}
	all := []*subject{direct, {name: "bare", addr: bare.addr(), path: "/mcp", token: "client", proc: bare}}
	switch s, err := b.startNginx(); {
	case errors.Is(err, exec.ErrNotFound):
		fmt.Fprintln(os.Stderr, "bench: nginx is not installed, so it is left out")
	case err != nil:
		return nil, err
	default:
		all = append(all, s)
	}
	ours, err := b.startOurs(filepath.Join(b.dir, "data"))
	if err != nil {
		return nil, err
	}
	s, err := b.signIn(ours, "Bench")
	if err != nil {
		return nil, err
	}
	all = append(all, s)
	if !b.chose(unguarded) {
		return all, nil
	}
	if s, err = b.startUnguarded(); err != nil {
		return nil, err
	}
	return append(all, s), nil
}

const nginxConf = `daemon off;
%s
worker_processes auto;
worker_rlimit_nofile 65536;
pid %[2]s/nginx.pid;
error_log stderr crit;
events { worker_connections 32768; }
http {
	access_log off;
	client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi; scgi_temp_path %[2]s/scgi;
	client_max_body_size 16m;
	keepalive_requests 1000000000;
	upstream u { server %[3]s; keepalive 256; keepalive_requests 1000000000; }
	server {
		listen %[4]s;
		location / {
			proxy_pass http://u;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Authorization "Bearer %[5]s";
			proxy_buffering off;
			proxy_request_buffering off;
			proxy_read_timeout 1h;
		}
	}
}
`

// startNginx starts nginx, which only adds the key.
func (b *bench) startNginx() (*subject, error) {
	exe, err := exec.LookPath("nginx")
	if err != nil {
		if exe, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, exec.ErrNotFound
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	ln.Close()
	dir, user := filepath.Join(b.dir, "nginx"), ""
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		user = "user root;" // another user could not enter our folder
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConf, user, dir, b.upstream.addr(), addr, apiKey)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(exe, "-p", dir, "-c", conf, "-e", "stderr"), origin: "http://" + addr}
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	b.procs = append(b.procs, p)
	for range 100 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return &subject{name: "nginx", addr: addr, path: "/mcp", token: "client", proc: p}, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, fmt.Errorf("nginx does not start: %s", p.stderr.String())
}

// pids returns the process and its children, in which nginx works.
func (p *process) pids() []int {
	pids := []int{p.cmd.Process.Pid}
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[0]))
	for _, name := range children {
		b, _ := os.ReadFile(name)
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// clockTick is the unit of the times in /proc/PID/stat, the same on every
// Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpu returns the process's CPU time, in user and system mode.
func (p *process) cpu() time.Duration {
	var sum time.Duration
	for _, pid := range p.pids() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// The fields after the name, which may contain anything.
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) < 13 {
			continue
		}
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		sum += time.Duration(user+system) * clockTick
	}
	return sum
}

// memory returns the process's memory in kB: all of it, and the part without
// file pages, which the system can reclaim.
func (p *process) memory() (all, anonymous int) {
	for _, pid := range p.pids() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			n, _ := strconv.Atoi(f[1])
			switch f[0] {
			case "VmRSS:":
				all += n
			case "RssAnon:":
				anonymous += n
			}
		}
	}
	return all, anonymous
}
