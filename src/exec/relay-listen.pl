# Listens on the box. Goes behind relay-carry.pl, and does what relay-listen.py does.
my $LOOK_MS = 2000;

my ($mark, $network, $address, $port, $meeting) = @ARGV;
my (@waiting, @ours, $over);
my $owner = $$;
$SIG{$_} = sub { $over = 1 } for qw(TERM HUP INT);
$SIG{CHLD} = 'IGNORE';
umask 0177;

my $back = listen_at(PF_UNIX, pack_sockaddr_un($meeting), $meeting) or fail();
my $front;
if ($network eq 'unix') {
  $front = listen_at(PF_UNIX, pack_sockaddr_un($address), $address) or fail();
} else {
  my ($failure, $to) = Socket::getaddrinfo($address, $port, { socktype => SOCK_STREAM });
  $front = $to && listen_at($to->{family}, $to->{addr}) or fail();
  my ($error, $host, $chosen) = Socket::getnameinfo(getsockname $front, Socket::NI_NUMERICSERV | Socket::NI_NUMERICHOST);
  $port = $chosen;
}
say_to_host($mark, 'listening', $port);
let_go(\*STDERR);

# The supervisor removes the directory when the plugin has ended, whether or not anybody hears of that here.
while (!$over && -e $meeting) {
  my %ready = ready($LOOK_MS, fileno STDIN, $IN, fileno $front, $IN, fileno $back, $IN);
  if ($ready{fileno STDIN}) {
    sysread(STDIN, my $words, $CHUNK) or last;
    for (1 .. ($words =~ tr/\n//)) { close shift @waiting if @waiting }
  }
  if ($ready{fileno $front} && accept(my $made, $front)) {
    push @waiting, $made;
    syswrite(STDOUT, "+\n") or last;
  }
  if ($ready{fileno $back} && accept(my $made, $back)) {
    meet(shift @waiting, $made) if @waiting;
  }
}
unlink @ours;

sub listen_at {
  my ($family, $to, $path) = @_;
  my $made;
  socket($made, $family, SOCK_STREAM, 0) && bind($made, $to) && listen($made, 128) or return;
  push @ours, $path if defined $path;
  never_wait($made);
  return $made;
}

sub fail {
  say_to_host($mark, 'failed', $! ? "$!" : 'it cannot listen there');
  unlink @ours;
  exit 1;
}

# A process of their own; they do not need us any more.
sub meet {
  my ($one, $other) = @_;
  my $child = fork;
  return if !defined $child || $child;
  $SIG{$_} = 'DEFAULT' for qw(TERM HUP INT);
  close $_ for $front, $back, @waiting;
  let_go(\*STDIN, \*STDOUT, \*STDERR);
  carry(
    { source => $one, sink => dup_of($other), over => sub { shutdown $other, 1 } },
    { source => $other, sink => dup_of($one), over => sub { shutdown $one, 1 } },
  );
  require POSIX;
  POSIX::_exit(0);
}

