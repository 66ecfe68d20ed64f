# Joins stdin and stdout with a connection: to a unix socket or a TCP port. Goes behind relay-carry.pl.
#   arguments: the mark, `unix` or `tcp`, the path or the host, the port
sub connect_to {
  my ($network, $address, $port) = @_;
  my $made;
  if ($network eq 'unix') {
    socket($made, PF_UNIX, SOCK_STREAM, 0) && connect($made, pack_sockaddr_un($address)) or return;
    return $made;
  }
  my ($failure, @choices) = Socket::getaddrinfo($address, $port, { socktype => SOCK_STREAM });
  for my $choice (@choices) {
    next unless socket($made, $choice->{family}, $choice->{socktype}, $choice->{protocol});
    next unless connect($made, $choice->{addr});
    setsockopt($made, Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1);
    return $made;
  }
  return;
}

my ($mark, @to) = @ARGV;
my $made = connect_to(@to);
if (!$made) {
  say_to_host($mark, 'failed', $! ? "$!" : 'it cannot be reached');
  exit 1;
}
say_to_host($mark, 'open');
my @outputs = map { join ':', (stat $_)[0, 1] } \*STDOUT, \*STDERR;
my $whole = carry(
  { source => \*STDIN, sink => dup_of($made), over => sub { shutdown $made, 1 } },
  { source => $made, sink => \*STDOUT, over => \&tell_over },
);
exit($whole ? 0 : 1);

# Some servers do not say that stdout has ended before we have, others only when stderr has too.
sub tell_over {
  my ($total, $whole) = @_;
  if ($whole) {
    # A server may have made stdin and stdout one socket, of which only one direction ends now.
    shutdown STDOUT, 1;
    let_go(\*STDOUT);
  }
  my $text = join(' ', $mark, $whole ? 'end' : 'broke', $total) . "\n";
  syswrite STDERR, $text if $outputs[0] ne $outputs[1];
  let_go(\*STDERR);
}

