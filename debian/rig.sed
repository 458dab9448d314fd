# Makes /etc/hyclus/rig.toml of the package from config/simulated.toml: the simulated rig, with the paths of the service.
1,/^$/c\
# The configuration of the rig. As installed it is a rig without hardware, to be tried as it is: two simulated cameras, a simulated belt\
# with a tray of twelve containers, and lamps. Every key is explained in /usr/share/hyclus/config/rig.example.toml. After a change:\
#\
#     hyclus check /etc/hyclus/rig.toml && systemctl restart hyclusd\

s,^data_dir = .*,data_dir = "/var/lib/hyclus",
/^socket = /d
/^state_dir = /d
s,^\(model\|library\) = "\([^/].*\)",\1 = "/usr/share/hyclus/config/\2",
s,`make console`,hyclus-console.service,
