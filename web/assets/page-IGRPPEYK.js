import"./chunk-4L5RI3VG.js";console.log(1);
