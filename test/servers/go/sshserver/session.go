package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// signals are those of RFC 4254, section 6.10.
var signals = map[string]syscall.Signal{
	"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP,
	"ILL": syscall.SIGILL, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE,
	"QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1,
	"USR2": syscall.SIGUSR2,
}

// session runs one command. All it takes besides is variables before the command, and signals after it.
func session(client *ssh.ServerConn, request ssh.NewChannel) {
	channel, requests, err := request.Accept()
	if err != nil {
		return
	}
	env := environment(client)
	var child *exec.Cmd
	for req := range requests {
		switch req.Type {
		case "env":
			var variable struct{ Name, Value string }
			ssh.Unmarshal(req.Payload, &variable)
			env = append(env, variable.Name+"="+variable.Value)
			req.Reply(true, nil)
		case "exec":
			var ask struct{ Command string }
			if child != nil || ssh.Unmarshal(req.Payload, &ask) != nil {
				req.Reply(false, nil)
				continue
			}
			child, err = start(channel, ask.Command, env)
			req.Reply(err == nil, nil)
		case "signal":
			var ask struct{ Name string }
			ssh.Unmarshal(req.Payload, &ask)
			if sig, known := signals[ask.Name]; known && child != nil {
				syscall.Kill(-child.Process.Pid, sig)
			}
		default:
			req.Reply(false, nil)
		}
	}
}

func environment(client *ssh.ServerConn) []string {
	home, _ := os.UserHomeDir()
	peer, own := client.RemoteAddr().(*net.TCPAddr), client.LocalAddr().(*net.TCPAddr)
	return []string{
		"HOME=" + home, "USER=" + client.User(), "LOGNAME=" + client.User(), "SHELL=/bin/sh",
		"PATH=/usr/local/bin:/usr/bin:/bin",
		fmt.Sprintf("SSH_CLIENT=%s %d %d", peer.IP, peer.Port, own.Port),
		fmt.Sprintf("SSH_CONNECTION=%s %d %s %d", peer.IP, peer.Port, own.IP, own.Port),
	}
}

// start runs a command in a session of its own, and tells the client how it ended.
func start(channel ssh.Channel, command string, env []string) (*exec.Cmd, error) {
	child := exec.Command("/bin/sh", "-c", command)
	child.Env = env
	child.Dir, _ = os.UserHomeDir()
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, _ := child.StdinPipe()
	stdout, _ := child.StdoutPipe()
	stderr, _ := child.StderrPipe()
	if err := child.Start(); err != nil {
		return nil, err
	}
	go func() {
		io.Copy(stdin, channel)
		stdin.Close()
	}()
	go func() {
		together(
			func() { io.Copy(channel, stdout); stdout.Close() },
			func() { io.Copy(channel.Stderr(), stderr); stderr.Close() },
		)
		child.Wait()
		tellEnd(channel, child.ProcessState.Sys().(syscall.WaitStatus))
	}()
	return child, nil
}

func tellEnd(channel ssh.Channel, status syscall.WaitStatus) {
	if status.Signaled() {
		for name, sig := range signals {
			if sig == status.Signal() {
				payload := struct {
					Name            string
					Core            bool
					Error, Language string
				}{Name: name, Core: status.CoreDump()}
				channel.SendRequest("exit-signal", false, ssh.Marshal(payload))
			}
		}
	} else {
		payload := struct{ Status uint32 }{uint32(status.ExitStatus())}
		channel.SendRequest("exit-status", false, ssh.Marshal(payload))
	}
	channel.Close()
}
